"""Runs the tests of a folder: each in a process of its own, some at once where safe, each with its own time limit.

    run.py FOLDER [-k WORD] [-j N] [--base bookworm|trixie] [--bin FOLDER] [-v]

A test that leaves a process behind has failed. Skipped tests are listed with their reason.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kit import base, installed, machine, memory, runner  # noqa: E402

# Those that scripts/test runs system tests on.
BASES = ("bookworm", "trixie")


def flat(suite):
    """The tests of nested suites."""
    return [suite] if isinstance(suite, unittest.TestCase) else [test for part in suite for test in flat(part)]


def boots_machines(test):
    """Whether its file names lab machines, or it is one of those that run on every base."""
    module = sys.modules[type(test).__module__]
    return hasattr(module, "machine") or hasattr(module, "OnMachine") or "BATON_LAB_BASE" in os.environ


def main():
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="its files test_*.py")
    parser.add_argument("-k", metavar="WORD", action="append", default=[], help="only tests with WORD in their name")
    parser.add_argument("-j", metavar="N", type=int,
                        help=f"how many at once (default {runner.FEWEST}, and up to {runner.MOST} while a processor is idle)")
    parser.add_argument("--base", help="the root file system lab machines boot")
    parser.add_argument("--bin", help="where batond, baton and the fixtures are (default .build/release)")
    parser.add_argument("-v", action="store_true", help="show what passing tests print")
    choice = parser.parse_args()
    if choice.base:
        os.environ["BATON_LAB_BASE"] = choice.base
    if choice.bin:
        os.environ["BATON_BIN"] = os.path.abspath(choice.bin)

    # Programs inherit what is ignored: under nohup, or in the background of a script, signals would not reach them.
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    # Whoever ends it ends the tests under way as well, and what they started.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    tempfile.tempdir = memory.place()
    folder = pathlib.Path(choice.folder).resolve()
    # A file that cannot be loaded is a failed test, one that skips itself a skipped one.
    tests = flat(unittest.defaultTestLoader.discover(str(folder)))
    chosen = [test for test in tests if not choice.k or any(word in test.id() for word in choice.k)]
    if not choice.k and choice.base in BASES and os.environ.get("BATON_BASES") != "all":
        chosen = runner.of_base(chosen, choice.base, BASES)
        print(f"{len(tests) - len(chosen)} tests that ask the same of every systemd run on the other base (BATON_BASES=all: on both)")
    with contextlib.ExitStack() as stack:
        # Made once for all tests, which have no way to a mirror: the base, and baton as it is installed over it.
        if machine.missing() is None and any(boots_machines(test) for test in chosen):
            base.build(os.environ.get("BATON_LAB_BASE", BASES[0]))
        if choice.base and machine.missing() is None and chosen:
            os.environ["BATON_LAB_LAYER"] = str(stack.enter_context(installed.layer()))
        return runner.run(chosen, jobs=choice.j, verbose=choice.v)


if __name__ == "__main__":
    sys.exit(main())
