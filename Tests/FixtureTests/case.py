"""A fixture under test: sockets, a mock notification socket, and everything gone at the end."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import tempfile
import unittest

from kit import programs
from kit.waiting import wait_until

SERVICE = programs.path("fixture-service")
LOAD = programs.path("fixture-load")
PATIENCE = 10  # seconds until a wait counts as failed


def until(condition, what):
    return wait_until(condition, PATIENCE, what)


class FixtureCase(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="fixtures-"))
        self.listener = self.enterContext(socket.create_server(("127.0.0.1", 0), backlog=1024))
        self.port = self.listener.getsockname()[1]
        self.notifications = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.notifications.bind(os.path.join(self.directory, "notify"))
        self.notifications.settimeout(PATIENCE)
        self.processes = []
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()
        self.notifications.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.notifications.recv(4096):  # what they still said
                pass
        self.notifications.settimeout(PATIENCE)

    def start(self, *arguments, ready=True, pid=None, **environment):
        """A worker as a supervisor starts it: the listener as fd 3, LISTEN_PID its own."""
        variables = {"PATH": os.environ["PATH"], "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http",
                     "NOTIFY_SOCKET": self.notifications.getsockname(), **environment}
        high = fcntl.fcntl(self.listener, fcntl.F_DUPFD, 100)  # out of the way of 3
        script = f'exec 3<&{high} {high}<&-; LISTEN_PID={pid or "$$"} exec "$0" "$@"'
        with open(os.path.join(self.directory, "log"), "a") as log:
            process = subprocess.Popen(
                ["/bin/bash", "-c", script, SERVICE, *arguments], env=variables, process_group=0,
                pass_fds=[high], stderr=log)
        os.close(high)
        self.processes.append(process)
        if ready:
            self.assertIn("READY=1", self.notification())
        return process

    def notification(self):
        return self.notifications.recv(4096).decode().split("\n")

    def log(self):
        with open(os.path.join(self.directory, "log")) as file:
            return file.read()

    def connect(self):
        return contextlib.closing(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE))

    def ask(self, path="/", *headers):
        """Status line and body, on a connection of its own."""
        with self.connect() as client:
            client.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode())
            head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
            return head.split(b"\r\n")[0].decode(), body.decode()

    def load(self, *arguments, url=None, wait=True, descriptors=None):
        """`descriptors`: it may have no more."""
        bound = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        process = subprocess.Popen(
            [*bound, LOAD, "--url", url or f"http://127.0.0.1:{self.port}/", "--json", *arguments],
            stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return self.report(process) if wait else process

    def report(self, process):
        report = json.loads(process.communicate(timeout=60)[0])
        self.assertEqual(process.returncode, 1 if report["failed"] else 0)
        return report
