"""The checker: replays a sink's log and says what should not have happened.

- Each message that is done had an effect.
- Taken tokens never fall, late ones are refused, and a token has one owner.
- Nobody works past the deadline it was told, but while nothing on its host could end it.
- Nobody works on after another has begun, but so, or in the lease's time after the store forgot who had it.
- Work goes on: wherever one host at least can, no longer pause than the lease lasts and `slack`.
"""

import dataclasses
import json


@dataclasses.dataclass
class Findings:
    """What a replay found. Seconds; `longest`: the longest pause in which one host at least could have worked."""

    complaints: list
    messages: int = 0
    effects: int = 0
    refused: int = 0
    owners: int = 0
    longest: float = 0.0


def read(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines]


def replay(entries, ttl, slack):
    """Findings of a whole log, oldest entry first."""
    found = Findings([])
    _effects(entries, ttl, found)
    _messages(entries, found)
    _pauses(entries, ttl + slack, found)
    return found


def _effects(entries, ttl, found):
    owners, fence, helpless, forgot = {}, 0, set(), float("-inf")
    for entry in entries:
        if entry["what"] == "helpless":
            helpless.add(entry["host"])
        elif entry["what"] == "able":
            helpless.discard(entry["host"])
        elif entry["what"] in ("forgets", "forced"):
            forgot = entry["at"]
        elif entry["what"] == "effect":
            said = "{host} with token {token} at {at:.3f}, proven until {expires:.3f}".format(**entry)
            if owners.setdefault(entry["token"], entry["host"]) != entry["host"]:
                found.complaints.append(f"token {entry['token']} has two owners: {owners[entry['token']]} and {said}")
            if entry["at"] > entry["expires"] and entry["host"] not in helpless:
                found.complaints.append(f"worked past its deadline: {said}")
            if entry["taken"]:
                found.effects += 1
                if entry["token"] < fence:
                    found.complaints.append(f"a stale token was taken after {fence}: {said}")
                fence = max(fence, entry["token"])
            else:
                found.refused += 1
                if entry["token"] >= fence:
                    found.complaints.append(f"a valid token was refused: {said}")
                if entry["host"] not in helpless and not forgot <= entry["at"] <= forgot + ttl:
                    found.complaints.append(f"worked on beside another: {said}")
    found.owners = len(owners)


def _messages(entries, found):
    done = {entry["message"] for entry in entries if entry["what"] == "done"}
    effects = {entry["message"] for entry in entries if entry["what"] == "effect" and entry["taken"]}
    found.messages = len(done)
    for message in sorted(done - effects):
        found.complaints.append(f"message {message} is done without an effect")
    for message in sorted(set(range(max(done, default=-1) + 1)) - done):
        found.complaints.append(f"message {message} was passed over")


def _pauses(entries, most, found):
    """`away` and `back` are about the store of all hosts: meanwhile nobody has to work."""
    since = None
    for entry in entries:
        if entry["what"] in ("begins", "back"):
            since = entry["at"]
            continue
        counts = entry["what"] in ("away", "ends") or (entry["what"] == "effect" and entry["taken"])
        if since is None or not counts:
            continue
        pause = entry["at"] - since
        found.longest = max(found.longest, pause)
        if pause > most:
            found.complaints.append(f"nobody worked for {pause:.2f} s, until {entry['at']:.3f}: {most:g} s are allowed")
        since = None if entry["what"] in ("away", "ends") else entry["at"]


def takeovers(entries):
    """(seconds, what happened) of each time that work passed from one host to another, with the accident before it."""
    passed, last, accident = [], None, "start"
    for entry in entries:
        if entry["what"] == "accident":
            accident = entry["name"]
        elif entry["what"] == "effect" and entry["taken"]:
            if last and last["host"] != entry["host"]:
                passed.append((entry["at"] - last["at"], accident))
            last = entry
    return passed
