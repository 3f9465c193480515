"""Accidents in recovery: an operation is cut off, whoever brings it to its end is cut off as well or meets an error at one of
its own effects, and the next one has to end it. Then the promises, as for every accident.

This takes a sample (BATON_SEED, BATON_SAMPLE); `scripts/soak recovery-faults` goes through every point of every recovery.
"""

import os
import unittest

from kit.faultkinds import KINDS, Deploy, Rollback
from kit.faults import ground
from kit.forms import WHOLE, sample
from kit.recoveryfaults import POINTS, accidents, cut_offs
from kit.runner import within

UPDATE = os.environ.get("BATON_UPDATE_POINTS") == "1"
# Of each kind.
SAMPLE = int(os.environ.get("BATON_SAMPLE", "5"))


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


def sampled(kind):
    def test(self):
        tries = sample(accidents(kind), SAMPLE, kind.name)
        with ground(kind()) as each:
            each.points()
            complaints = [text for number, fault in tries for text in each.attempt(number, "after", "kill", fault)]
            print(f"recovery of {kind.name}: {len(tries)} accidents, {each.met} met")
            self.assertEqual(complaints, [])
            self.assertGreater(each.met, 0.8 * len(tries) - 2)

    return within(300)(test)


for each_kind in KINDS:
    each_name = each_kind.name.replace("-", "_")
    if WHOLE or UPDATE or each_kind in (Deploy, Rollback):
        setattr(Recovery, f"test_all_effects_are_known_of_that_of_{each_name}", known(each_kind))
    setattr(Recovery, f"test_accidents_in_that_of_{each_name}", sampled(each_kind))


if __name__ == "__main__":
    unittest.main()
