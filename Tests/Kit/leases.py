"""Accidents with leases: lab machines, a real store, one engine that works under a lease, and a checker.

    leases.py --store redis|postgres|file --hosts N --minutes M [--seed S] [--base bookworm|trixie]
    leases.py --short               the fixed deck of scripts/test
    leases.py --cards NAME,…        these, in this order
    leases.py --list                what there is
    leases.py --replay FILE         check a log that --log kept

Each message that the engine works off has its effect in a sink that refuses late tokens; the sink's log is replayed after
each accident. The seed names the order of the accidents and what each draws.
"""

import argparse
import os
import pathlib
import random
import statistics
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from kit import base, machine, network  # noqa: E402
from kit.ownership import outages, replay  # noqa: E402, F401
from kit.ownership.accidents import ACCIDENTS  # noqa: E402
from kit.ownership.cluster import Cluster  # noqa: E402
from kit.ownership.stores import STORES  # noqa: E402

SHORT = (
    "engine-killed", "batond-killed", "batond-stands-still", "restarted", "host-stands-still", "link-cut", "store-forgets",
)  # fmt: skip


def deck(choice):
    """Accidents one after another, as the seed has them; without end when the time ends it."""
    if choice.cards or choice.short:
        yield from (ACCIDENTS[name] for name in choice.cards or SHORT)
        return
    dice = random.Random(f"{choice.seed} deck")
    names = sorted(name for name, each in ACCIDENTS.items() if not each.stores or choice.store in each.stores)
    while True:
        dice.shuffle(names)
        yield from (ACCIDENTS[name] for name in names)


class Run:
    def __init__(self, cluster, choice):
        self.cluster, self.choice = cluster, choice
        self.played, self.faults = {}, []

    def play(self, number, accident):
        """One accident and what it left; whether all is well."""
        cluster = self.cluster
        cluster.sink.note("accident", name=accident.name)
        began, wrong = time.monotonic(), []
        try:
            accident.play(cluster, random.Random(f"{self.choice.seed} {number} {accident.name}"))
            played = time.monotonic() - began
            cluster.wait_settled()
        except Exception:
            played = time.monotonic() - began
            wrong.append(f"{traceback.format_exc()}{cluster.tell()}")
        found = self.replay()
        known = {each for _, each in self.faults}
        wrong += [each for each in found.complaints if each not in known]
        self.played.setdefault(accident.name, []).append(played)
        print(f"{number:4} {accident.name:40} {played:5.1f} s, settled {time.monotonic() - began - played:4.1f} s; "
              f"{found.messages} messages, {found.refused} late", flush=True)  # fmt: skip
        for each in wrong:
            self.faults.append((number, each))
            print(f"     FAULT {each}", flush=True)
        return not wrong

    def replay(self):
        return replay.replay(replay.read(self.cluster.sink.path), self.cluster.ttl, self.cluster.slack)

    def tally(self):
        cluster = self.cluster
        cluster.sink.note("ends")
        found = self.replay()
        passed = {}
        for seconds, accident in replay.takeovers(replay.read(cluster.sink.path)):
            passed.setdefault(accident, []).append(seconds)
        print("\naccident                                 played   work passed to another host after, seconds")
        for name in sorted(self.played):
            times = sorted(passed.get(name, []))
            shown = f"{len(times):4} times, median {statistics.median(times):6.3f}, longest {times[-1]:6.3f}" if times else "   -"
            print(f"{name:40} {len(self.played[name]):6}   {shown}")
        print(f"seed {self.choice.seed}, {cluster.kind}, {cluster.count} hosts, ttl {cluster.ttl:g} s: "
              f"{sum(map(len, self.played.values()))} accidents, {found.messages} messages, {found.effects} effects, "
              f"{found.refused} late ones refused, {found.owners} tokens, longest pause while one could work "
              f"{found.longest:.2f} s, {len(self.faults)} faults")  # fmt: skip


def chaos(choice):
    """How many faults there were."""
    print(f"seed {choice.seed}, {choice.store}, {choice.hosts} hosts", flush=True)
    if machine.missing() is None:
        base.build(choice.base)  # while there is a way to the mirror
    network.try_own_network()
    with Cluster(choice.store, choice.hosts, choice.ttl, choice.watchdog, choice.slack, choice.base, choice.log) as cluster:
        run = Run(cluster, choice)
        until = time.monotonic() + choice.minutes * 60
        for number, accident in enumerate(deck(choice), 1):
            if not choice.cards and not choice.short and time.monotonic() > until:
                break
            if not run.play(number, accident) and not choice.go_on:
                break
        run.tally()
        for host in cluster.hosts if choice.log else ():
            pathlib.Path(f"{choice.log}.{host.name}").write_text(host.journal())
        return run.faults


def main():
    parser = argparse.ArgumentParser(prog="scripts/chaos leases", description=__doc__.splitlines()[0])
    parser.add_argument("--store", choices=sorted(STORES), default="redis")
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--base", choices=("bookworm", "trixie"), default="bookworm")
    parser.add_argument("--ttl", type=float, default=6, help="seconds a lease lasts")
    parser.add_argument("--watchdog", type=float, default=2.5, help="seconds; less than 17/30 of --ttl")
    parser.add_argument("--slack", type=float, default=1.5, help="seconds that work may stand still beyond --ttl")
    parser.add_argument("--short", action="store_true", help="the fixed deck of scripts/test: two hosts, a lease of 4.5 s")
    parser.add_argument("--cards", type=lambda text: text.split(","), help="these, in this order")
    parser.add_argument("--go-on", action="store_true", help="also after a fault")
    parser.add_argument("--log", help="keeps the sink's log there, and the journals beside it")
    parser.add_argument("--replay", metavar="FILE", help="checks a log that was kept, and nothing else")
    parser.add_argument("--list", action="store_true", help="say which accidents there are")
    choice = parser.parse_args()
    if choice.short:
        choice.hosts, choice.ttl, choice.watchdog = 2, 4.5, 1.5
    if choice.list:
        for name in sorted(ACCIDENTS):
            print(f"{name:40} {ACCIDENTS[name].what}")
        return 0
    if choice.replay:
        found = replay.replay(replay.read(choice.replay), choice.ttl, choice.slack)
        print("\n".join([*found.complaints, f"{found.messages} messages, {len(found.complaints)} complaints"]))
        return 1 if found.complaints else 0
    unknown = set(choice.cards or ()) - set(ACCIDENTS)
    if unknown or choice.hosts < 2:
        parser.error(f"no accident named {', '.join(sorted(unknown))}; --list names them" if unknown else "--hosts: 2 at least")
    reason = machine.missing()
    if reason:
        print(f"skipped lease chaos: {reason}\n0 passed, 0 failed, 1 skipped")
        return 0
    faults = chaos(choice)
    for number, fault in faults:
        print(f"FAILED accident {number}: {fault[:3000]}")
    print(f"{0 if faults else 1} passed, {1 if faults else 0} failed, 0 skipped")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
