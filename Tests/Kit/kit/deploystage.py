"""Where the deploy part of the demo is shown: by the installed unit in a lab machine, or in the foreground without systemd.

Each has: `where`, version(), bad(), broken(), deploy() → Act, cut() → Act, recover() → Act, rollback() → Act, load(rate),
served() and met() (clients that a bad version met, as it counted itself).
"""

import contextlib
import dataclasses
import os
import shutil
import time

from kit import deploying, deploys, fixtures, http, load, machine
from kit.repository import Repository
from kit.waiting import wait_until

# Asked of every new version before any client meets it.
CHECK = {"contains": "ok"}


@dataclasses.dataclass
class Act:
    """What a command came to: its exit status, what it said, how long it took."""

    status: int
    said: str
    seconds: float

    def line(self, begin):
        """The rest of its first line that begins like this."""
        return next((line[len(begin):].strip() for line in self.said.splitlines() if line.startswith(begin)), "")


def timed(act):
    began = time.monotonic()
    done = act()
    return Act(done.returncode, done.stdout + done.stderr, time.monotonic() - began)


class InMachine:
    def __init__(self, it):
        self.it, self.where = it, f"by baton-deploy@demo.service, under systemd {it.machine.systemd_version()} in a lab machine"
        it.health["check"][0] |= CHECK
        it.health |= {"passes": 2, "deadline": "3s"}
        it.write()

    def first(self, name):
        self.it.version(name)
        return self.deploy("--no-rollback")

    def version(self, name, **options):
        self.it.version(name, **options)

    def bad(self, name):
        self.it.bad_version("wrong-body", name)

    def broken(self):
        self.it.broken_version()

    def deploy(self, *words):
        return timed(lambda: self.it.run("deploy", "demo", *words, check=False))

    def cut(self):
        before = self.it.operations()
        began = time.monotonic()
        client = self.it.begin()
        self.it.wait_step("intends", "activate", besides=before)
        self.it.kill_deploy()
        said, errors = client.communicate(timeout=60)
        return Act(client.returncode, said + errors, time.monotonic() - began)

    def recover(self):
        return timed(lambda: self.it.run("recover", "demo", check=False))

    def rollback(self):
        return timed(lambda: self.it.run("rollback", "demo", check=False))

    def load(self, rate, *options):
        return self.it.load(rate, *options)

    def served(self):
        return self.it.answered_by()

    def met(self):
        return self.it.bad_counts()["clients"]


class Foreground:
    where = "with --foreground: no systemd, no root"

    def __init__(self, it):
        self.it = it
        shutil.rmtree(it.repository)
        self.repository = Repository(it.repository)
        it.deploy |= {"build": [["./build.sh"], ["mv", "main", "serve"]], "ref": "main"}
        it.health = {"check": [{"url": f"http://127.0.0.1:{it.of.port}/health", **CHECK}], "passes": 2, "interval": "50ms",
                     "deadline": "3s"}

    def first(self, name):
        self.version(name)
        return self.deploy()

    def version(self, name, **options):
        self.repository.version(name, count_file=f"{self.it.of.home}/counts", **options)

    def bad(self, name):
        self.repository.bad(name, "wrong-body", f"{self.it.of.home}/bad")

    def broken(self):
        self.repository.broken()

    def deploy(self, *words):
        return timed(lambda: self.it.baton("deploy", "--foreground", *words))

    def cut(self):
        before = len(self.it.operations())
        began = time.monotonic()
        client = self.it.start("deploy", "--foreground")
        wait_until(lambda: len(self.it.operations()) > before, 20, "the operation")
        self.it.wait_said('"step":"activate","phase":"began"', 90)
        for pid in self.it.hosts():
            os.kill(pid, 9)
        said, errors = client.communicate(timeout=60)
        return Act(client.returncode, said + errors, time.monotonic() - began)

    def recover(self):
        return timed(lambda: self.it.baton("recover"))

    def rollback(self):
        return timed(lambda: self.it.baton("rollback", "--foreground"))

    def load(self, rate, *options):
        return load.Load(self.it.of.port, rate, *options)

    def served(self):
        return http.ask(self.it.of.port).release

    def met(self):
        return fixtures.counts(self.it.of.bad_counts)["clients"]


@contextlib.contextmanager
def choose(without_systemd):
    """In a lab machine where one can be had."""
    if without_systemd or machine.missing():
        with deploys.deployed() as it:
            yield Foreground(it)
    else:
        with deploying.deployed() as it:
            yield InMachine(it)
