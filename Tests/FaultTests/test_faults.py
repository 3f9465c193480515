"""Operations in which each thing goes wrong that can: every effect, before and after it, then recovery, then the promises.

The short form takes kill at every other effect of a deploy, before or after it, and of all kinds of operation and accidents
a sample (BATON_SEED); BATON_FAULTS=all takes all accidents at every point of each kind.
"""

import os
import pathlib
import unittest

from kit.faultkinds import KINDS, Deploy
from kit.faults import SIDES, ground
from kit.forms import WHOLE, dice, half, sample
from kit.runner import within

UPDATE = os.environ.get("BATON_UPDATE_POINTS") == "1"
POINTS = pathlib.Path(__file__).with_name("points")
FAULTS = {
    "kill": "kill -9", "EIO": "the disk fails", "ENOSPC": "it is full", "hang": "it hangs, and somebody ends it",
    "interrupt": "Ctrl-C", "hangup": "the terminal is gone",
}  # fmt: skip
SHARDS = 4 if WHOLE else 2
# Of each kind, in the short form.
SAMPLE = 8


def listed(kind):
    return (POINTS / f"{kind.name}.txt").read_text().splitlines()


class Points(unittest.TestCase):
    """A new effect is seen here first: BATON_UPDATE_POINTS=1 writes them down."""


def known(kind):
    def test(self):
        with ground(kind()) as each:
            found = [point.words for point in each.points()]
            print(f"{kind.name}: {len(found)} effects, {2 * len(found)} points")
            if UPDATE:
                (POINTS / f"{kind.name}.txt").write_text("\n".join(found) + "\n")
            self.assertEqual(found, listed(kind))

    return within(120)(test)


for each_kind in KINDS:
    setattr(Points, f"test_all_effects_are_known_of_{each_kind.name.replace('-', '_')}", known(each_kind))


class Accidents(unittest.TestCase):
    def attempts(self, kind, tries):
        """Each of (number, side, fault), one after the other in one place."""
        with ground(kind()) as each:
            self.assertEqual([point.words for point in each.points()], listed(kind))
            complaints = [text for number, side, fault in tries for text in each.attempt(number, side, fault)]
            print(f"{kind.name}: {len(tries)} accidents")
            self.assertEqual(complaints, [])

    def all_points(self, kind, fault):
        return [(number, side, fault) for number in range(1, len(listed(kind)) + 1) for side in SIDES]


def complete(kind, fault, part):
    return within(1800)(lambda self: self.attempts(kind, self.all_points(kind, fault)[part::SHARDS]))


def kills(part):
    def test(self):
        side = dice("sides")
        tries = [(number, side.choice(SIDES), "kill") for number in half(range(1, len(listed(Deploy)) + 1), "kills")]
        self.attempts(Deploy, tries[part::SHARDS])

    return within(600)(test)


def some(kind):
    def test(self):
        tries = [each for fault in FAULTS for each in self.all_points(kind, fault)]
        self.attempts(kind, sample(tries, SAMPLE, kind.name))

    return within(600)(test)


if WHOLE:
    for each_kind in KINDS:
        for each_fault in FAULTS:
            for each_part in range(SHARDS):
                name = f"test_{each_kind.name.replace('-', '_')}_{each_fault.lower()}_{each_part + 1}_of_{SHARDS}"
                setattr(Accidents, name, complete(each_kind, each_fault, each_part))
else:
    for each_part in range(SHARDS):
        setattr(Accidents, f"test_deploy_kill_{each_part + 1}_of_{SHARDS}", kills(each_part))
    for each_kind in KINDS:
        setattr(Accidents, f"test_sample_of_{each_kind.name.replace('-', '_')}", some(each_kind))


if __name__ == "__main__":
    unittest.main()
