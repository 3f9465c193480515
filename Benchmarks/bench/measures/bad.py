"""Every second new version is bad: whom do its answers reach?"""

import json
import os
import shlex
import subprocess
import time

from ..figures import Figure, milliseconds
from ..load import Load
from ..report import Measure, Target
from ..subjects import Batond, ServerStarter

WORKERS, RATE, START_MS = 8, 2000, 300
KINDS = ("exits-at-start", "never-ready", "answers-500", "wrong-body")


class Releases:
    """Versions in directories, and the link that names the one to run, as a deploy would make them."""

    def __init__(self, subject):
        self.subject, self.bad = subject, []
        self.counted = 0

    def switch(self, number, misbehaviour=None):
        subject = self.subject
        home = os.path.join(subject.directory, "releases", f"{number:03d}")
        os.makedirs(home)
        counts = os.path.join(home, "counts")
        command = [subject.tools.service, *subject.arguments, "--version-text", "bad" if misbehaviour else "good",
                   "--count-file", counts, "--start-delay", str(START_MS)]
        if misbehaviour:
            command += ["--misbehave", misbehaviour]
            self.bad.append(counts)
        if isinstance(subject, ServerStarter):
            command += ["--listen-fd", "3"]
        serve = os.path.join(home, "serve")
        with open(serve, "w") as file:
            file.write("#!/bin/sh\nexec " + shlex.join(command) + "\n")
        os.chmod(serve, 0o755)
        link = os.path.join(subject.directory, "current")
        os.symlink(home, link + ".new")
        os.rename(link + ".new", link)

    def asked_of_bad(self):
        """Requests of clients that a bad version received, whatever it made of them."""
        total = 0
        for counts in self.bad:
            if os.path.exists(counts):
                shown = json.loads(subprocess.check_output([self.subject.tools.service, "--show-counts", counts]))
                total += shown["clients"] + shown["health"]
        return total


class BatondWithReleases(Batond):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, command=["./serve"], start_timeout="1s", **options)
        self.releases = Releases(self)

    def prepare(self):
        self.releases.switch(0)
        super().prepare()

    def try_reload(self):
        """true: accepted."""
        # Nobody reads them here: a full pipe would hold up the workers that write them.
        self.stamps.forget()
        answer = self.call("io.baton.Service.Reload", wait=True)
        self.refusal = answer.get("parameters") if "error" in answer else None
        return self.refusal is None


class ServerStarterWithReleases(ServerStarter):
    note = "takes whatever lives for a second"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.releases = Releases(self)

    def prepare(self):
        self.releases.switch(0)
        super().prepare()

    def command(self):
        command = super().command()
        return command[:command.index(self.tools.service)] + [os.path.join(self.directory, "current", "serve")]

    def try_reload(self):
        self.stamps.forget()
        self.ask_reload()
        self.stamps.wait("exit", self.workers, 20, "old workers gone")
        return True


def bad(bench):
    measure = Measure(
        "bad", f"Every second new version is bad ({', '.join(KINDS)}) under {RATE} requests/s",
        [Target("client requests to a bad version", 0), Target("failed", 0), Target("bad accepted", 0),
         Target("good refused", 0)])
    with bench.running(measure, [BatondWithReleases], WORKERS) as subjects:
        for subject in list(subjects):
            with bench.or_left_out(measure, subjects, subject):
                run(bench, measure, subject, KINDS, bench.times(10, 2))
    # A peer, on the two kinds that it would not get stuck in.
    with bench.running(measure, [ServerStarterWithReleases], WORKERS) as subjects:
        for subject in list(subjects):
            with bench.or_left_out(measure, subjects, subject):
                run(bench, measure, subject, KINDS[2:], 1)
    return measure


def run(bench, measure, subject, kinds, rounds):
    load = Load(bench.tools, subject.url, RATE, expect="good")
    number, good_refused, bad_accepted, refusals = 0, 0, 0, []
    try:
        for turn in range(rounds):
            for kind in kinds:
                bench.say(f"bad {turn + 1}: {subject.name}: {kind}")
                number += 1
                subject.releases.switch(number, kind)
                asked = time.monotonic_ns()
                if subject.try_reload():
                    bad_accepted += 1
                refusals.append(milliseconds(time.monotonic_ns() - asked))
                number += 1
                subject.releases.switch(number)
                if not subject.try_reload():
                    good_refused += 1
                    bench.say(f"bad {turn + 1}: {subject.name}: refused a good version: {subject.refusal}")
    finally:
        report = load.report()
    measure.set(subject, "reloads", number)
    measure.set(subject, "bad accepted", bad_accepted)
    measure.set(subject, "good refused", good_refused)
    measure.set(subject, "client requests to a bad version", subject.releases.asked_of_bad())
    measure.set(subject, "requests", report["sent"])
    measure.set(subject, "failed", report["failed"])
    measure.set(subject, "time to refuse", Figure(refusals, digits=0))
