#!/usr/bin/env python3
"""Every accident at every effect of every recovery, each on a service that was cut off in a deploy or a rollback: some
thousands, half a second of processor time each, so that it may be broken off and gone on with.

What came of each stands in a file, a line each; those that stand there are not tried again. Exits 1 when one did not keep
its promises, 3 when some are left."""

import argparse
import collections
import os
import pathlib
import random
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from kit import faults, proc, recoveryfaults  # noqa: E402
from kit.faultkinds import KINDS  # noqa: E402

# A ground is made anew after so many.
BATCH = 60


class Tally:
    """The file: `NUMBER KIND met|unmet OK|COMPLAINTS …`."""

    def __init__(self, path):
        self.path = path
        self.lines = {}
        if path.exists():
            for line in path.read_text().splitlines():
                number, _, rest = line.partition(" ")
                if number.isdigit():
                    self.lines[int(number)] = rest
        self.file = path.open("a", buffering=1)

    def add(self, number, kind, is_met, complaints):
        result = "OK" if not complaints else "COMPLAINTS " + repr(complaints)
        self.file.write(f"{number} {kind.name} {'met' if is_met else 'unmet'} {result}\n")


def attempt(each, number, fault):
    try:
        return each.attempt(number, "after", "kill", fault), True
    except Exception as error:  # noqa: BLE001
        return [repr(error)], False


def work(tally, everything, mine, deadline):
    """A batch of each kind in turn, so that whatever is broken off has been at all of them."""
    left = {kind: [number for number in mine if everything[number][0] is kind] for kind in KINDS}
    while any(left.values()) and time.monotonic() < deadline:
        for kind in KINDS:
            batch = left[kind][:BATCH]
            if not batch:
                continue
            with faults.ground(kind()) as each:
                each.points()
                for number in batch:
                    if time.monotonic() >= deadline:
                        return
                    left[kind].remove(number)
                    met = each.met
                    complaints, is_sound = attempt(each, *everything[number][1:])
                    tally.add(number, kind, each.met > met, complaints)
                    if not is_sound:
                        break


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=".build/debug", help="a build for debugging")
    parser.add_argument("--tally", type=pathlib.Path, default=pathlib.Path(".build/recovery-faults"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("--only", type=int, help="this one, by its number, again and again")
    parser.add_argument("--times", type=int, default=10, help="how often, with --only")
    options = parser.parse_args()
    os.environ["BATON_BIN"] = os.path.abspath(options.bin)
    everything = recoveryfaults.everything()
    if options.only is not None:
        return repeat(everything[options.only], options.times)
    order = [number for number in range(len(everything)) if number not in Tally(options.tally).lines]
    random.Random(len(order)).shuffle(order)
    print(f"{len(everything)} accidents, {len(order)} to be tried", flush=True)
    deadline = time.monotonic() + 60 * options.minutes
    workers = []
    for first in range(options.processes):
        worker = os.fork()
        if not worker:
            # What a killed operation leaves comes to its worker, not to pid 1.
            proc.prctl(proc.PR_SET_CHILD_SUBREAPER, 1)
            try:
                work(Tally(options.tally), everything, order[first :: options.processes], deadline)
            except Exception:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(0)
        workers.append(worker)
    for worker in workers:
        os.waitpid(worker, 0)
    return told(Tally(options.tally).lines, everything)


def repeat(accident, times):
    proc.prctl(proc.PR_SET_CHILD_SUBREAPER, 1)
    kind, number, fault = accident
    print(kind.name, number, fault, flush=True)
    with faults.ground(kind()) as each:
        each.points()
        complaints = [text for _ in range(times) for text in each.attempt(number, "after", "kill", fault)]
    print("\n".join(complaints) or f"{times} times, {each.met} met, no complaint")
    return 1 if complaints else 0


def told(lines, everything):
    bad = {number: line for number, line in lines.items() if not line.endswith(" OK")}
    met = sum(" met " in f"{line} " for line in lines.values())
    for number, line in sorted(bad.items()):
        print(f"{number} {everything[number][1:]} {line[:2000]}")
    kinds = collections.Counter(line.split()[0] for line in lines.values())
    print(", ".join(f"{name} {count}" for name, count in kinds.items()))
    print(f"{len(lines)} of {len(everything)} accidents in recovery, {met} met, {len(bad)} with complaints")
    return 1 if bad else 3 if len(lines) < len(everything) else 0


if __name__ == "__main__":
    sys.exit(main())
