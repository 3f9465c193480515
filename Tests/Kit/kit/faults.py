"""Deploys in which one thing goes wrong: at one effect, before or after it. What the operation does to the world goes
through one place of the program, which counts; see FaultPlan. Builds for debugging only.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading

from kit import http, programs
from kit.deploys import deployed
from kit.waiting import wait_until

SECRET = "correct-horse-battery"
SIDES = ("before", "after")
# Operations whose records stay.
KEPT = 4
# Exit codes of baton(1).
DONE, FAILED, STUCK, BUSY = 0, 1, 2, 75


@dataclasses.dataclass(frozen=True)
class Point:
    """One effect of an operation: its number, and what it does, without what differs from one operation to the next."""

    number: int
    words: str


@dataclasses.dataclass
class Ended:
    """A process that an accident was arranged for."""

    status: int
    said: str
    points: list

    def reached(self, number, side):
        return any(found == (number, side) for found, _ in self.points)


@dataclasses.dataclass
class Aim:
    """What an operation starts from, a release or none, and the version that it is to bring."""

    old: str | None
    version: str


class Ground:
    """A service under batond, deployed again and again: each try is one operation on top of what the last one left."""

    def __init__(self, deploy, kind):
        self.deploy, self.kind = deploy, kind
        self.round = 0
        # Points of recoveries that accidents met.
        self.met = 0
        # Operations whose records are gone: the ledger knows them.
        self.past = []
        self.said = ""
        secrets = deploy.of.folder / "secrets.env"
        secrets.write_text(f"TOKEN={SECRET}\n")
        deploy.deploy |= {
            "secrets": [secrets], "build": [["sh", "-c", "echo token $TOKEN; test -x serve"]], "keep": 3,
        }  # fmt: skip
        deploy.health = {
            "url": f"http://127.0.0.1:{deploy.of.port}/health", "passes": 1, "interval": "20ms", "deadline": "5s",
        }  # fmt: skip
        # What runs before there is any release.
        deploy.of.engines["web"] = deploy.of.web(command=["./serve"], workers=1)
        kind.begin(self)

    # What is deployed

    def next_version(self, more=()):
        self.round += 1
        self.deploy.commit({"serve": self.program(), **dict(more)}, f"v{self.round}")
        return f"v{self.round}"

    def program(self):
        return self.deploy.program("--version-text", f"v{self.round}")

    @property
    def current(self):
        """The release `current` names, or None."""
        return self.deploy.current if os.path.lexists(self.deploy.directory / "current") else None

    def version_of(self, release):
        if release is None:
            return "none"
        text = (self.deploy.directory / "releases" / release / "serve").read_text()
        return re.search(r"--version-text' '(v\d+)'", text)[1]

    def answered(self):
        """Which version answers clients."""
        return http.ask(self.deploy.of.port, "/").release

    # Runs

    def run(self, *arguments, fault=None, where="run-operation", hang=False, within=60):
        """`baton ARGUMENTS` with an accident in the process that has `where` among its arguments."""
        log = self.deploy.of.folder / "points"
        log.unlink(missing_ok=True)
        more = {"BATON_FAULT_LOG": str(log), "BATON_FAULT_IN": where}
        if fault:
            more["BATON_FAULT"] = fault
        process = subprocess.Popen(
            self.deploy.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=self.deploy.environment(more), start_new_session=True,
        )  # fmt: skip
        if hang:
            number, side, _ = fault.split(":")
            wait_until(
                lambda: process.poll() is not None or (int(number), side) in {found for found, _ in points(log)}, within,
                f"effect {number}")
            for pid in self.deploy.hosts():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            said, _ = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"baton {' '.join(arguments)} with {fault} does not come to an end") from None
        self.said += said
        self.deploy.wait_idle()
        return Ended(process.returncode, said, points(log))

    def points(self):
        """Every effect of an operation that goes well, in its order."""
        self.kind.arrange(self)
        done = self.run(*self.kind.arguments)
        if done.status != DONE:
            raise AssertionError(f"it ended with {done.status}:\n{done.said}")
        return self.effects(done)

    def effects(self, ended):
        return [Point(number, self.plain(words)) for (number, side), words in ended.points if side == "before"]

    def plain(self, words):
        of = self.deploy.of
        return plain(words, ((self.deploy.directory, "DIR"), (of.folder, "HOME"), (of.port, "PORT")))

    # One try

    def attempt(self, number, side, fault, recovery_fault=None):
        """An operation with an accident, recovery, and what must hold then. The text says what does not."""
        self.forget()
        aim, before = self.kind.arrange(self), self.past + self.deploy.operations()
        releases = self.releases()
        with self.watched() as misses:
            ended = self.run(*self.kind.arguments, fault=f"{number}:{side}:{fault}", hang=fault == "hang")
            first = self.run("recover", fault=recovery_fault, where="recover") if recovery_fault else None
            between = self.current
            recovered = self.run("recover", where="recover")
        self.recovery = [point.words for point in self.effects(recovered)]
        history = self.deploy.history()
        found = self.complaints(aim, before, history, ended, recovered, is_killed=fault in ("kill", "hang"))
        added = self.releases() - releases - {self.current}
        if added and not set(self.not_undone(history)) - set(before):
            found.append(f"releases that nobody deployed: {added}")
        if misses:
            found.append(f"`current` led nowhere {len(misses)} times")
        if not ended.reached(number, side):
            found.append("the point was not reached")
        if first:
            number, side, kind = recovery_fault.split(":")
            # Whether there is something to prune, for one, differs from try to try.
            self.met += first.reached(int(number), side)
            if kind != "kill" and first.status not in (DONE, FAILED, STUCK):
                found.append(f"recovery ended with {first.status}: {first.said[-300:]}")
            # What it said holds, and there is nothing left to be done.
            if first.status == DONE and (self.current != between or "nothing was left over" not in recovered.said):
                found.append(f"recovery said that it was done: {first.said[-300:]}; then: {recovered.said[-300:]}")
        return [f"{number} {side} {fault}{f', recovery {recovery_fault}' if recovery_fault else ''}: {each}" for each in found]

    def forget(self):
        """Removes old records, as prune does with many: every command reads all there are, and a try would take longer than
        the one before it."""
        for name in self.deploy.operations()[:-KEPT]:
            shutil.rmtree(self.deploy.directory / "deploys" / name)
            self.past.append(name)

    def complaints(self, aim, before, history, ended, recovered, is_killed):
        found = []
        current = self.current
        version = self.version_of(current)
        is_new = version == aim.version
        if not is_new and current != aim.old:
            found.append(f"{current} is neither the old release nor the new one")
        if recovered.status != DONE:
            found.append(f"recovery ended with {recovered.status}: {recovered.said[-300:]}")
        if is_killed and ended.status not in (DONE, FAILED, STUCK):
            found.append(f"exit code {ended.status}")
        is_unrecorded = ended.status == STUCK and "the end of the operation could not be recorded" in ended.said
        if not is_killed and not is_unrecorded and (ended.status == DONE) != is_new:
            found.append(f"exit code {ended.status}, and {version} is deployed: {ended.said[-300:]}")
        if self.answered() != version:
            found.append(f"{version} is deployed, and {self.answered()} answers")
        if current:
            found += self.damage(current)
        found += self.way_back(current) + self.kind.complaints(self, is_new)
        said = self.not_undone(history)
        left = [
            path.name for folder in ("", "releases", "backups", "deploys", "deploys/sources")
            for path in (self.deploy.directory / folder).glob(".tmp-*")
            if not any(operation in path.name for operation in said)
        ]  # fmt: skip
        if left:
            found.append(f"left over: {left}")
        lock = self.deploy.directory / "deploys/lock"
        with open(lock) if lock.exists() else contextlib.nullcontext() as file:
            try:
                if file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append("the lock is held")
        states = [each["state"] for each in history if each["operation"] not in before]
        if (states == ["good"]) != is_new:
            found.append(f"history says {states}, and {version} is deployed")
        nothing = "nothing was left over"
        if nothing not in recovered.said and nothing not in self.run("recover", where="recover").said:
            found.append("recovery is not done with it")
        if SECRET in self.said or self.leaks():
            found.append("a secret is shown")
        return found

    def way_back(self, current):
        """What the ledger says of releases is so, and the last good one before this one is whole, or its archive is."""
        records = json.loads(self.deploy.baton("releases", "--json").stdout)["releases"]
        named = [(each["release"], each["verdict"]) for each in records if each["current"]]
        if named != ([(current, "good")] if current else []):
            return [f"`baton releases` has {named} as the current one"]
        # The latest first; older ones may be pruned.
        good = [each["release"] for each in records if each["verdict"] == "good" and not each["current"]]
        found = []
        for release in good[:1]:
            if not self.damage(release):
                continue
            archives = [path.name for path in (self.deploy.directory / "backups").glob(f"{release}*.tar.zst")]
            if not any(self.deploy.baton("backup", "verify", "--archive", name).returncode == 0 for name in archives):
                found.append(f"{release} is good, and neither it nor an archive of it ({archives}) is whole")
        return found

    @staticmethod
    def not_undone(history):
        """What operations could not remove, they say, and the next one that prunes removes it."""
        said = []
        for each in history:
            states = {step["step"]: step["state"] for step in each["steps"]}
            if {"not-undone", "failed"} & set(states.values()):
                said.append(each["operation"])
            if states.get("prune") == "done":
                break
        return said

    def releases(self):
        folder = self.deploy.directory / "releases"
        if not folder.exists():
            return set()
        return {path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."}

    def damage(self, release):
        return damage(self.deploy.directory / "releases", release)

    def leaks(self):
        """Whether the secret lies anywhere below the directory."""
        return any(
            SECRET.encode() in path.read_bytes() for path in (self.deploy.directory / "deploys").rglob("*")
            if path.is_file() and not path.is_symlink() and "mirror.git" not in path.parts
        )  # fmt: skip

    @contextlib.contextmanager
    def watched(self):
        """Looks at `current` all the time: the times it was not there, or led nowhere. Before there is a first release
        it need not be there."""
        misses, end, may_miss = [], threading.Event(), self.current is None

        def look():
            path = self.deploy.directory / "current"
            while not end.is_set():
                try:
                    os.stat(path)
                except OSError as error:
                    if not may_miss or self.leads_nowhere(path):
                        misses.append(error)
                end.wait(0.002)

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield misses
        finally:
            end.set()
            watcher.join()


    @staticmethod
    def leads_nowhere(path):
        try:
            target = os.readlink(path)
        except FileNotFoundError:
            return False
        return not (path.parent / target).exists() and os.path.lexists(path) and os.readlink(path) == target


def points(log):
    """((number, side), words) of each point that was reached."""
    if not log.exists():
        return []
    found = []
    for line in log.read_text().splitlines():
        number, side, words = line.split(" ", 2)
        found.append(((int(number), side), words))
    return found


def damage(folder, release):
    """What of a release is not as its manifest has it."""
    manifest = folder / f"{release}.manifest"
    if not manifest.exists():
        return [f"{release} has no manifest"]
    found = []
    for line in manifest.read_text().splitlines():
        words = line.split(" ", 4)
        if words[0] != "f" or len(words) != 5:
            continue
        path = folder / release / words[4]
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != words[3]:
            found.append(f"{release}/{words[4]} is not what was deployed")
    return found


def plain(words, names):
    """Without paths, ids, ports and times."""
    for found, name in names:
        words = words.replace(str(found), name)
    words = re.sub(r"\d{8}T\d{6}Z-([0-9a-z]{7}|none)-[0-9a-z]{4}", "RELEASE", words)
    words = re.sub(r"\d{8}T\d{6}Z-[0-9a-z]{4,}", "OPERATION", words)
    words = re.sub(r"\b[0-9a-f]{7,40}\b", "COMMIT", words)
    return re.sub(r"\d+", "N", words)


@contextlib.contextmanager
def ground(kind):
    if not pathlib.Path(programs.path("baton")).resolve().parts[-2] == "debug":
        raise AssertionError("faults are for builds for debugging: --bin .build/debug")
    with deployed() as deploy:
        yield Ground(deploy, kind)
