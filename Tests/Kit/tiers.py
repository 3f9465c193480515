"""Runs the tiers of scripts/test one after another and sums them. A failing tier hides no other."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as XML

from kit import runner

ROOT = pathlib.Path(__file__).resolve().parents[2]
KIT = pathlib.Path(__file__).resolve().parent
UNIT_TESTS = str(ROOT / ".build/debug/batonPackageTests.xctest")
# The debug build with its tests.
BUILD = ("scripts/build", "tests")
CORES = r"^(Vocabulary|Supervision|Deployment|Leases|Settings)Tests\."
SKIPPED = re.compile(r"^(?:skipped\b.*|\S+ Test .* skipped.*)$", re.M)
SKIPPED_UNIT = re.compile(r"^\S+ Test .* skipped", re.M)
UNSTEADY = re.compile(r"^unsteady .*$", re.M)
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)


# Said again at the end: what was not tested is part of the result, and what did not pass at once.
skips = []
unsteady = []
# More than so many in all tiers are a failure (docs/decisions/0019).
UNSTEADY_AT_MOST = 3


class Count:
    """What a tier says of itself."""

    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def stream(*command, at_once=True):
    """Runs a command, passes its output on as it comes, or else when it has ended, and returns (status, output)."""
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env={**os.environ, "NO_COLOR": "1"},
    ) as process:  # fmt: skip
        for line in process.stdout:
            lines.append(line)
            if at_once:
                sys.stdout.write(line)
                sys.stdout.flush()
    output = "".join(lines)
    if not at_once:
        sys.stdout.write(output)
    skips.extend(SKIPPED.findall(output))
    unsteady.extend(UNSTEADY.findall(output))
    return process.returncode, output


def one(*command, at_once=True):
    """A tier that is one command: passed or failed as a whole."""
    status, _ = stream(*command, at_once=at_once)
    return Count(passed=1) if status == 0 else Count(failed=1)


def summed(*command, at_once=True):
    """A tier whose last summary line counts its tests; a bad status without a counted failure is one failure."""
    status, output = stream(*command, at_once=at_once)
    found = SUMMARY.findall(output)
    if not found:
        return Count(failed=1)
    count = Count(*map(int, found[-1]))
    if status != 0 and count.failed == 0:
        count.failed = 1
    return count


def swift_run(*arguments, at_once=True):
    """The built unit tests, counted from their own report rather than from their prose: (count, names of those that failed).
    Not by `swift test`, which wants the build's database, and a build of the release beside it may just have that."""
    with tempfile.NamedTemporaryFile(prefix="baton-xunit-", suffix=".xml") as report:
        status, output = stream(
            UNIT_TESTS, "--testing-library", "swift-testing", "--xunit-output", report.name, *arguments, at_once=at_once)
        try:
            cases = list(XML.parse(report.name).getroot().iter("testcase"))
        except XML.ParseError:
            cases = []
    failed = [f"{case.get('classname')}/{case.get('name')}" for case in cases if case.find("failure") is not None]
    skipped = len(SKIPPED_UNIT.findall(output))
    # A process that died names no test: that is a failure which no repetition explains.
    count = Count(max(len(cases) - len(failed), 0), len(failed) or int(status != 0), skipped)
    return count, failed


def repeated(count, failed):
    """The count when each of `failed` has been repeated alone, where they are few: docs/decisions/0019."""
    for name in failed if runner.AGAIN and len(failed) <= runner.UNSTEADY else []:
        again = [swift_run("--no-parallel", "--filter", f"^{re.escape(name)}")[0] for _ in range(runner.AGAIN)]
        if all(run.passed and not run.failed for run in again):
            print(f"unsteady {name}: failed, then passed {runner.AGAIN} times alone", flush=True)
            unsteady.append(f"unsteady {name}")
            count += Count(passed=1, failed=-1)
    return count


def unit():
    """Three processes side by side. Commands of a deploy make the one they run in the parent of their orphans, and the test
    library's wait for its exit tests never gets past a child it does not know. Those one by one: a child that another test
    is just starting holds a copy of a lock until it becomes its program. What waits for the world keeps the library's few
    threads waiting; cores and parsers compute meanwhile."""
    deploys = r"^DeploymentRuntimeTests\."
    with concurrent.futures.ThreadPoolExecutor(2) as beside:
        of_deploys = beside.submit(swift_run, "--no-parallel", "--filter", deploys, at_once=False)
        of_cores = beside.submit(swift_run, "--filter", CORES, at_once=False)
        runs = [swift_run("--skip", deploys, "--skip", CORES), of_cores.result(), of_deploys.result()]
    return repeated(sum((count for count, _ in runs), Count()), [name for _, failed in runs for name in failed])


def fast():
    """The inner loop: what changed is built, and cores and parsers are run."""
    built = one(*BUILD)
    return built if built.failed else repeated(*swift_run("--filter", CORES))


def man():
    """Every page is clean to mandoc's lint."""
    pages = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "man").glob("*.[1-8]"))
    if not pages:
        return Count()
    count = Count()
    for page in pages:
        count += one("mandoc", "-T", "lint", "-W", "warning", page)
    return count


class Beside:
    """A tier that may go on beside others: it is begun early, and its result is there when its turn comes."""

    def __init__(self, run, *command):
        self.run, self.command, self.under_way = run, command, None

    def begin(self):
        if self.under_way is None:
            self.under_way = concurrent.futures.ThreadPoolExecutor(1).submit(self.run, *self.command, at_once=False)

    def result(self):
        self.begin()
        return self.under_way.result()


def python(tool, *arguments):
    return ("/usr/bin/python3", "-B", str(KIT / tool), *arguments)


def outside(place, *arguments):
    """Tests written in Python against the built programs."""
    return summed(*python("run.py"), str(ROOT / "Tests" / place), *arguments)


def begin(tasks):
    for task in tasks:
        task.begin()


def ended(tasks):
    begin(tasks)
    return sum((task.result() for task in tasks), Count())


BESIDE = {
    "build": [Beside(one, *BUILD)],
    # Process and system tests run it. Its few long modules wait for each other and leave a core free, so it goes on beside
    # tiers that need the debug build alone, with what these leave of the processors.
    "release": [Beside(one, "nice", "-n", "10", "scripts/build")],
    # The fixed decks: of a service under load, and of a lease on two hosts. They mostly wait, and so does the soak.
    "chaos": [Beside(summed, *python(deck, "--short", "--seed", "1")) for deck in ("chaos.py", "leases.py")],
    "soak": [Beside(summed, *python("soak.py", "--seconds", "12", "--turns", "25"))],
}
# What is begun with a tier, where both are asked for: what waits with what computes.
WITH = {"lint": ["build"], "unit": ["release"], "process": ["chaos", "soak"], "chaos": ["soak"]}
TIERS = {
    "lint": lambda _: one("scripts/lint"),
    "tidy": lambda _: summed("scripts/tidy"),
    "man": lambda _: man(),
    "build": lambda _: ended(BESIDE["build"]),
    "unit": lambda _: unit(),
    # Faults are put into builds for debugging alone.
    "faults": lambda words: outside("FaultTests", "--bin", str(ROOT / ".build/debug"), *words),
    "release": lambda _: ended(BESIDE["release"]),
    "fixtures": lambda words: outside("FixtureTests", *words),
    "process": lambda words: outside("ProcessTests", *words),
    "system-252": lambda words: outside("SystemTests", "--base", "bookworm", *words),
    "system-257": lambda words: outside("SystemTests", "--base", "trixie", *words),
    "chaos": lambda _: ended(BESIDE["chaos"]),
    "soak": lambda _: ended(BESIDE["soak"]),
    "fuzz": lambda _: one("scripts/fuzz", "--seconds", "60", "--seed", "1"),
}
ALIASES = {
    # A minute a format is too long for the twenty that the whole may take.
    "all": [tier for tier in TIERS if tier != "fuzz"],
    "system": ["system-252", "system-257"],
    "fast": ["fast"],
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/test", description="Runs the tests.")
    parser.add_argument("tiers", nargs="*", metavar="TIER", help=f"of {', '.join([*TIERS, *ALIASES])}; default all")
    parser.add_argument("-k", metavar="WORD", action="append", default=[], help="only outside tests with WORD in their name")
    parser.add_argument("--list", action="store_true", help="say which tiers there are")
    choice = parser.parse_args()
    if choice.list:
        print("\n".join([*TIERS, *ALIASES]))
        return 0
    tiers = []
    for name in choice.tiers or ["all"]:
        if name not in TIERS and name not in ALIASES:
            parser.error(f"no tier named {name}; there are {', '.join([*TIERS, *ALIASES])}")
        tiers += [tier for tier in ALIASES.get(name, [name]) if tier not in tiers]
    if "unit" in tiers and "build" not in tiers:
        tiers.insert(tiers.index("unit"), "build")
    words = [part for word in choice.k for part in ("-k", word)]
    run = {**TIERS, "fast": lambda _: fast()}

    total, report = Count(), []
    for tier in tiers:
        print(f"== {tier}", flush=True)
        began = time.monotonic()
        for other in WITH.get(tier, []):
            if other in tiers:
                begin(BESIDE[other])
        count = run[tier](words)
        if count.passed + count.failed + count.skipped == 0 and not words:
            print("no test was found")
            count.failed = 1
        report.append(f"{tier:<12} {time.monotonic() - began:7.1f} s   {count}")
        total += count
    print("==")
    print("\n".join(report))
    for line in skips + unsteady:
        print(line)
    if len(unsteady) > UNSTEADY_AT_MOST:
        print(f"{len(unsteady)} tests are unsteady; more than {UNSTEADY_AT_MOST} are a failure")
        total.failed += 1
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
