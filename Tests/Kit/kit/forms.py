"""The two forms of a test that tries everything: scripts/test takes a sample that a seed draws, BATON_FAULTS=all the whole."""

import os
import random

WHOLE = os.environ.get("BATON_FAULTS") == "all"
SEED = int(os.environ.get("BATON_SEED", "20261121"))


def dice(what):
    """The same for the same seed; said, so that a failure can be had again."""
    print(f"BATON_SEED={SEED}")
    return random.Random(f"{SEED} {what}")


def sample(things, count, what):
    """All of them, or `count` of them in their order."""
    things = list(things)
    if WHOLE or count >= len(things):
        return things
    return [things[place] for place in sorted(dice(what).sample(range(len(things)), count))]


def half(things, what):
    """All of them, or every other one."""
    return list(things) if WHOLE else list(things)[dice(what).randrange(2) :: 2]
