"""Locks of a test's own: a file of them or a Redis, and what is run under them."""

import json
import os
import pathlib
import subprocess
import tempfile

from kit import programs
from kit.waiting import wait_until

WAITS = "trap 'echo ended >> \"$LOG\"; exit 7' TERM; echo \"$BATON_LEASE $BATON_LEASE_TOKEN\" >> \"$LOG\"; while :; do sleep 0.05; done"


class Locks:
    """A file of locks of its own, and what is started with it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="baton-lock-")
        self.directory = pathlib.Path(self.folder.name)
        self.log = self.directory / "log"
        self.store = str(self.directory / "leases.db")
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.folder.cleanup()

    @property
    def environment(self):
        return {
            "PATH": "/usr/bin:/bin", "HOME": str(self.directory), "LOG": str(self.log), "BATON_LOCK_STORE": self.store,
        }  # fmt: skip

    def run(self, *words, timeout=30, variables=None, **more):
        return subprocess.run(
            [programs.path("baton"), "lock", *words], env={**self.environment, **(variables or {})}, capture_output=True, text=True,
            timeout=timeout, **more,
        )  # fmt: skip

    def start(self, *words, variables=None):
        process = subprocess.Popen(
            [programs.path("baton"), "lock", *words], env={**self.environment, **(variables or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def holder(self, name="job", *options):
        """One that holds it until it is told to end."""
        lines = len(self.lines)
        # Asked again where a busy disk takes longer to make the file than an answer may take.
        waits = () if "--wait" in options else ("--wait", "15s")
        process = self.start("run", name, *options, *waits, "--", "bash", "-c", WAITS)
        wait_until(lambda: len(self.lines) > lines, 20, lambda: f"the lock is taken: {process.poll()}")
        return process

    @property
    def lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def listed(self):
        return {each["lock"]: each for each in json.loads(self.run("list", "--json").stdout)["locks"]}


class Redis:
    """One of a test's own, on a Unix socket."""

    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory(prefix="baton-redis-")
        self.socket = self.folder.name + "/socket"
        self.process = subprocess.Popen(
            [programs.tool("redis-server", "/usr/bin"), "--port", "0", "--unixsocket", self.socket, "--dir", self.folder.name,
             "--save", "", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self):
        wait_until(lambda: os.path.exists(self.socket), 20, lambda: "redis-server listens")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()
