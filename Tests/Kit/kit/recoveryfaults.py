"""Accidents in recovery: an operation is cut off after one of its effects, and whoever brings it to its end is cut off as
well, or meets an error, at one of its own."""

import pathlib
import re

from kit.faultkinds import KINDS
from kit.faults import SIDES

POINTS = pathlib.Path(__file__).resolve().parents[2] / "FaultTests/points"
FAULTS = ("kill", "EIO", "ENOSPC")
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


def accidents(kind):
    """(number of the effect after which the operation is killed, accident in its recovery): all there are."""
    return [
        (number, f"{effect}:{side}:{fault}") for (number, _), effects in zip(cut_offs(kind), listed(kind), strict=True)
        for effect in range(1, len(effects) + 1) for side in SIDES for fault in FAULTS
    ]  # fmt: skip


def everything():
    """(kind, number, accident): every one of every kind, each in its place."""
    return [(kind, *each) for kind in KINDS for each in accidents(kind)]
