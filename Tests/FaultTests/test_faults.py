"""A deploy in which each thing goes wrong that can: every effect, before and after it, then recovery, then the promises.

The short form takes kill and one error at every point; BATON_FAULTS=all takes all accidents, and accidents in recovery.
"""

import os
import pathlib
import random
import unittest

from kit.faults import SIDES, ground
from kit.runner import within

EVERYTHING = os.environ.get("BATON_FAULTS") == "all"
POINTS = pathlib.Path(__file__).with_name("points.txt")
SHARDS = 4
SEED = int(os.environ.get("BATON_SEED", "20261121"))


class Points(unittest.TestCase):
    @within(120)
    def test_all_effects_are_known(self):
        """A new effect is seen here first: BATON_UPDATE_POINTS=1 writes them down."""
        with ground() as each:
            found = [f"{point.words}\n" for point in each.points()]
            print(f"{len(found)} effects, {2 * len(found)} points")
            if os.environ.get("BATON_UPDATE_POINTS") == "1":
                POINTS.write_text("".join(found))
            self.assertEqual(found, POINTS.read_text().splitlines(keepends=True))


def attempts(fault):
    """Every point of a deploy with this accident, in parts that run beside each other."""

    class Attempts(unittest.TestCase):
        def shard(self, part):
            with ground() as each:
                points = each.points()
                tries = [(point.number, side) for point in points for side in SIDES][part::SHARDS]
                complaints = [text for number, side in tries for text in each.attempt(number, side, fault)]
                print(f"{fault}: {len(tries)} of {2 * len(points)} points")
                self.assertEqual(len(points), len(POINTS.read_text().splitlines()))
                self.assertEqual(complaints, [])

    for part in range(SHARDS):
        name = f"test_{fault.lower()}_{part + 1}_of_{SHARDS}"
        setattr(Attempts, name, within(1200)(lambda self, part=part: self.shard(part)))
    return Attempts


class Kill(attempts("kill")):
    """kill -9."""


class NoSpace(attempts("ENOSPC")):
    """The effect fails, or its success is not known."""


if EVERYTHING:

    class InputOutputError(attempts("EIO")):
        """The disk fails."""

    class Interrupt(attempts("interrupt")):
        """Ctrl-C."""

    class Hangup(attempts("hangup")):
        """The terminal is gone."""

    class Hang(attempts("hang")):
        """It hangs, and somebody ends it."""

    class Twice(unittest.TestCase):
        @within(1800)
        def test_accidents_in_recovery(self):
            dice = random.Random(SEED)
            print(f"seed {SEED}")
            with ground() as each:
                count = len(each.points())
                complaints = []
                for _ in range(150):
                    first = dice.randint(1, count)
                    second = f"{dice.randint(1, 25)}:{dice.choice(SIDES)}:{dice.choice(['kill', 'EIO', 'ENOSPC'])}"
                    complaints += each.attempt(first, dice.choice(SIDES), "kill", second)
                self.assertEqual(complaints, [])
