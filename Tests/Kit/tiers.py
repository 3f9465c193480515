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

ROOT = pathlib.Path(__file__).resolve().parents[2]
KIT = pathlib.Path(__file__).resolve().parent
JOBS = os.environ.get("BATON_JOBS", "2")
FAST = "VocabularyTests|SupervisionTests|LeasesTests|SettingsTests|ControlTests"
SKIPPED = re.compile(r"^(?:skipped\b.*|\S+ Test .* skipped.*)$", re.M)
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)


# Said again at the end: what was not tested is part of the result.
skips = []


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
        errors="replace",
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
    return process.returncode, output


def one(*command):
    """A tier that is one command: passed or failed as a whole."""
    status, _ = stream(*command)
    return Count(passed=1) if status == 0 else Count(failed=1)


def summed(*command):
    """A tier whose last summary line counts its tests; a bad status without a counted failure is one failure."""
    status, output = stream(*command)
    found = SUMMARY.findall(output)
    if not found:
        return Count(failed=1)
    count = Count(*map(int, found[-1]))
    if status != 0 and count.failed == 0:
        count.failed = 1
    return count


def swift_tests(*arguments, at_once=True):
    """`swift test`, counted from its own report rather than from its prose."""
    with tempfile.TemporaryDirectory(prefix="baton-xunit-") as folder:
        report = pathlib.Path(folder) / "report.xml"
        status, output = stream("swift", "test", "-j", JOBS, "--xunit-output", str(report), *arguments, at_once=at_once)
        total = failed = 0
        for file in pathlib.Path(folder).glob("*.xml"):
            for suite in XML.parse(file).getroot().iter("testsuite"):
                total += int(suite.get("tests", 0))
                failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = len(re.findall(r"^\S+ Test .* skipped", output, re.M))
    if status != 0 and failed == 0:
        failed = 1
    return Count(max(total - failed, 0), failed, skipped)


def unit():
    """Two processes side by side: commands of a deploy make the one they run in the parent of their orphans, and the test
    library's wait for its exit tests never gets past a child it does not know. Those one by one: a child that another test
    is just starting holds a copy of a lock until it becomes its program."""
    if one("swift", "build", "--build-tests", "-j", JOBS, "-q").failed:
        return Count(failed=1)
    deploys, built = r"^DeploymentRuntimeTests\.", ["--skip-build", "--ignore-lock"]
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        of_deploys = beside.submit(swift_tests, *built, "--no-parallel", "--filter", deploys, at_once=False)
        return swift_tests(*built, "--skip", deploys) + of_deploys.result()


def man():
    """Every page is clean to mandoc's lint."""
    pages = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "man").glob("*.[1-8]"))
    if not pages:
        return Count()
    count = Count()
    for page in pages:
        count += one("mandoc", "-T", "lint", "-W", "warning", page)
    return count


def build():
    """The debug build with its tests, and the release build that process and system tests run."""
    count = one("swift", "build", "--build-tests", "-j", JOBS, "-q")
    return count + one("scripts/build")


def outside(place, *arguments):
    """Tests written in Python against the built programs."""
    return summed("/usr/bin/python3", "-B", str(KIT / "run.py"), str(ROOT / "Tests" / place), *arguments)


TIERS = {
    "lint": lambda _: one("scripts/lint"),
    "tidy": lambda _: summed("scripts/tidy"),
    "man": lambda _: man(),
    "build": lambda _: build(),
    "unit": lambda _: unit(),
    "fixtures": lambda words: outside("FixtureTests", *words),
    "process": lambda words: outside("ProcessTests", *words),
    # Faults are put into builds for debugging alone.
    "faults": lambda words: outside("FaultTests", "--bin", str(ROOT / ".build/debug"), *words),
    "system-252": lambda words: outside("SystemTests", "--base", "bookworm", *words),
    "system-257": lambda words: outside("SystemTests", "--base", "trixie", *words),
    "chaos": lambda _: summed("/usr/bin/python3", "-B", str(KIT / "chaos.py"), "--short", "--seed", "1"),
    "soak": lambda _: summed("/usr/bin/python3", "-B", str(KIT / "soak.py"), "--seconds", "12", "--turns", "25"),
}
ALIASES = {
    "all": list(TIERS),
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
    words = [part for word in choice.k for part in ("-k", word)]
    run = {**TIERS, "fast": lambda _: swift_tests("--filter", FAST)}

    total, report = Count(), []
    for tier in tiers:
        print(f"== {tier}", flush=True)
        began = time.monotonic()
        count = run[tier](words)
        if count.passed + count.failed + count.skipped == 0 and not words:
            print("no test was found")
            count.failed = 1
        report.append(f"{tier:<12} {time.monotonic() - began:7.1f} s   {count}")
        total += count
    print("==")
    print("\n".join(report))
    for skip in skips:
        print(skip)
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
