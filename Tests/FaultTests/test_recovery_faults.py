"""Accidents in recovery: an operation is cut off, whoever brings it to its end is cut off as well or meets an error at one of
its own effects, and the next one has to end it. Then the promises, as for every accident.

The short form takes a sample (BATON_SEED, BATON_SAMPLE), BATON_FAULTS=all every point of every recovery.
"""

import os
import pathlib
import random
import re
import unittest

from kit.faultkinds import KINDS, Deploy, Rollback
from kit.faults import SIDES, ground
from kit.runner import within

EVERYTHING = os.environ.get("BATON_FAULTS") == "all"
UPDATE = os.environ.get("BATON_UPDATE_POINTS") == "1"
POINTS = pathlib.Path(__file__).with_name("points")
FAULTS = ("kill", "EIO", "ENOSPC")
SEED = int(os.environ.get("BATON_SEED", "20261121"))
# Of each kind, in the short form.
SAMPLE = int(os.environ.get("BATON_SAMPLE", "8"))
# The last thing that the operation did, and its recovery begins anew at each: what is undone, done again, finished.
LAST = (
    "did fetch", "did verify", "did migrate", "^control hold", "^control commit", "^rename DIR/current", "did activate",
    "did health-check", "did mark-good", "did prune",
)  # fmt: skip


def cut_offs(kind):
    """(number, words) of effects after which an operation of this kind is killed."""
    effects = (POINTS / f"{kind.name}.txt").read_text().splitlines()
    first = {pattern: next(((number, words) for number, words in enumerate(effects, 1) if re.search(pattern, words)), None)
             for pattern in LAST}  # fmt: skip
    return [found for found in first.values() if found]


def listed(kind):
    """For each of them the effects of its recovery."""
    sections = (POINTS / f"recovery-of-{kind.name}.txt").read_text().split("cut off after ")[1:]
    return [section.splitlines()[1:] for section in sections]


class Recovery(unittest.TestCase):
    """Of each kind of operation."""

    maxDiff = None


def known(kind):
    def test(self):
        with ground(kind()) as each:
            each.points()
            lines, complaints, count = [], [], 0
            for number, words in cut_offs(kind):
                complaints += each.attempt(number, "after", "kill")
                lines += [f"cut off after {words}", *each.recovery]
                count += len(each.recovery)
            self.assertEqual(complaints, [])
            if UPDATE:
                (POINTS / f"recovery-of-{kind.name}.txt").write_text("\n".join(lines) + "\n")
            print(f"recovery of {kind.name}: {len(cut_offs(kind))} ways to begin, {count} effects, {2 * count} points")
            self.assertEqual(lines, (POINTS / f"recovery-of-{kind.name}.txt").read_text().splitlines())

    return within(300)(test)


def accidents(kind):
    def test(self):
        tries = [
            (number, f"{effect}:{side}:{fault}") for (number, _), effects in zip(cut_offs(kind), listed(kind), strict=True)
            for effect in range(1, len(effects) + 1) for side in SIDES for fault in FAULTS
        ]  # fmt: skip
        if not EVERYTHING:
            print(f"BATON_SEED={SEED}")
            tries = random.Random(f"{SEED} {kind.name}").sample(tries, SAMPLE)
        with ground(kind()) as each:
            each.points()
            complaints = [text for number, fault in tries for text in each.attempt(number, "after", "kill", fault)]
            print(f"recovery of {kind.name}: {len(tries)} accidents, {each.met} met")
            self.assertEqual(complaints, [])
            self.assertGreater(each.met, 0.8 * len(tries) - 2)

    return within(3600 if EVERYTHING else 300)(test)


for each_kind in KINDS:
    each_name = each_kind.name.replace("-", "_")
    if EVERYTHING or UPDATE or each_kind in (Deploy, Rollback):
        setattr(Recovery, f"test_all_effects_are_known_of_that_of_{each_name}", known(each_kind))
    setattr(Recovery, f"test_accidents_in_that_of_{each_name}", accidents(each_kind))


if __name__ == "__main__":
    unittest.main()
