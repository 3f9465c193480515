"""Chaos: accidents drawn from a deck by a seed, one after the other, on a service under lasting load.

    chaos.py --minutes N [--seed S] [--base bookworm|trixie] [--rate N]
    chaos.py --short                the fixed deck of scripts/test
    chaos.py --cards NAME,…         these, in this order
    chaos.py --list                 what there is, and what each may cost

After each accident everything is compared: what clients lost with what the card allows, the number of workers, processes,
zombies, descriptors, threads and memory, what batond says with what is, and with what systemd says. The seed names the
order of the cards and what each draws.
"""

import argparse
import os
import random
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from kit import machine  # noqa: E402
from kit.chaos import invariants, leases, trials  # noqa: E402, F401  (cards)
from kit.chaos.cards import CARDS  # noqa: E402
from kit.chaos.stage import staged  # noqa: E402

SHORT = (
    "worker-killed", "overlap", "bad-version", "supervisor-killed", "release-swapped", "disk-full", "bad-settings",
    "supervisor-pauses", "clock-jumps", "journal-hangs",
)  # fmt: skip
# Those that were under way when something was killed, and those that began at that moment.
NEWCOMERS = 10


class Run:
    def __init__(self, stage, seed):
        self.stage, self.seed = stage, seed
        self.base = None
        self.played, self.lost, self.faults, self.memory = {}, {}, [], []

    def play(self, number, card):
        """One card and what it left; whether all is well."""
        stage = self.stage
        stage.dice = random.Random(f"{self.seed} {number} {card.name}")
        _, failures, stage.under_way = stage.crowd.tally()
        deaths, began = stage.deaths, time.monotonic()
        wrong = []
        try:
            card.play(stage)
        except Exception:
            wrong.append(f"the accident itself went wrong: {traceback.format_exc()}")
        played = time.monotonic() - began
        wrong += invariants.settled(stage, self.base)
        try:
            stage.crowd.settle()
        except AssertionError as error:
            wrong.append(f"clients wait: {error}")
        _, after, _ = stage.crowd.tally()
        lost = {kind: after[kind] - count for kind, count in failures.items() if after[kind] > count}
        for kind, count in lost.items():
            if kind not in card.kinds:
                wrong.append(f"{count} requests failed ({kind}), which this may not cost")
        if sum(lost.values()) > (stage.under_way + NEWCOMERS) * max(1, stage.deaths - deaths):
            wrong.append(f"{lost} were lost, and {stage.under_way} were under way")
        self.played[card.name] = self.played.get(card.name, 0) + 1
        self.lost[card.name] = self.lost.get(card.name, 0) + sum(lost.values())
        print(f"{number:4} {card.name:32} {played:5.1f} s, settled {time.monotonic() - began - played:4.1f} s"
              f"{f', lost {lost}' if lost else ''}", flush=True)  # fmt: skip
        for each in wrong:
            self.faults.append(f"card {number}, {card.name}: {each}")
            print(f"     FAULT {each}", flush=True)
        return not wrong

    def tally(self):
        sent, failures, _ = self.stage.crowd.tally()
        print("\naccident                         played   lost")
        for name in sorted(self.played):
            print(f"{name:32} {self.played[name]:6} {self.lost[name]:6}")
        kinds = ", ".join(f"{kind} {count}" for kind, count in failures.items() if count)
        print(f"{sum(self.played.values())} accidents, {sent:,} requests, {sum(failures.values())} lost ({kinds or 'none'}), "
              f"{self.stage.deaths} deaths of batond since the last restart, {len(self.faults)} faults; "
              f"memory of its own {self.base.memory >> 10} KiB at first, {max(self.memory or [0]) >> 10} at most")  # fmt: skip


def deck(choice):
    """Cards one after another, as the seed has them; without end when the time ends it."""
    if choice.cards or choice.short:
        yield from (CARDS[name] for name in choice.cards or SHORT)
        return
    dice = random.Random(f"{choice.seed} deck")
    while True:
        shuffled = sorted(CARDS)
        dice.shuffle(shuffled)
        yield from (CARDS[name] for name in shuffled)


def chaos(choice):
    """How many faults there were."""
    print(f"seed {choice.seed}", flush=True)
    with staged(choice.rate, choice.base) as stage:
        stage.crowd.settle()
        run = Run(stage, choice.seed)
        run.base = invariants.Baseline(stage)
        until = time.monotonic() + choice.minutes * 60
        for number, card in enumerate(deck(choice), 1):
            if time.monotonic() > until and not (choice.cards or choice.short):
                break
            well = run.play(number, card)
            if supervisor := stage.supervisor():
                run.memory.append(invariants.proc.own_bytes(supervisor))
            if not well and not choice.go_on:
                print(stage.it.journal()[-12_000:])
                break
        run.tally()
        return run.faults


def main():
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--rate", type=float, default=200, help="requests a second of all clients together")
    parser.add_argument("--base", choices=("bookworm", "trixie"), default="bookworm")
    parser.add_argument("--short", action="store_true", help="the fixed deck of scripts/test")
    parser.add_argument("--cards", type=lambda text: text.split(","), help="these, in this order")
    parser.add_argument("--go-on", action="store_true", help="also after a fault")
    parser.add_argument("--list", action="store_true", help="say which cards there are")
    choice = parser.parse_args()
    if choice.list:
        for name in sorted(CARDS):
            print(f"{name:32} {CARDS[name].what}; may cost: {', '.join(sorted(CARDS[name].kinds)) or 'nothing'}")
        return 0
    unknown = set(choice.cards or ()) - set(CARDS)
    if unknown:
        parser.error(f"no card named {', '.join(sorted(unknown))}; --list names them")
    reason = machine.missing()
    if reason:
        print(f"skipped chaos: {reason}\n0 passed, 0 failed, 1 skipped")
        return 0
    faults = chaos(choice)
    for fault in faults:
        print(f"FAILED {fault}")
    print(f"{0 if faults else 1} passed, {1 if faults else 0} failed, 0 skipped")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
