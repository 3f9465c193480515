"""When things happened inside the workers: fixture-service writes a line for each into a pipe read here."""

import collections
import os
import select
import time

Stamp = collections.namedtuple("Stamp", "event pid ns")


class Stamps:
    """Reads `EVENT PID NANOSECONDS …` lines; CLOCK_MONOTONIC, the clock of time.monotonic_ns()."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        os.chmod(path, 0o666)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # both ends: it never says end of file
        self.rest = b""
        self.seen = []

    def close(self):
        os.close(self.fd)

    def forget(self):
        self.read(0)
        self.seen = []

    def read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return
        try:
            self.rest += os.read(self.fd, 1 << 20)
        except BlockingIOError:
            return
        *lines, self.rest = self.rest.split(b"\n")
        for line in lines:
            event, pid, ns = line.decode().split()[:3]
            self.seen.append(Stamp(event, int(pid), int(ns)))

    def of(self, event):
        return [stamp for stamp in self.seen if stamp.event == event]

    def wait(self, event, count, timeout, what):
        """Until `count` stamps of the event were seen since forget(); returns them."""
        end = time.monotonic() + timeout
        while len(found := self.of(event)) < count:
            left = end - time.monotonic()
            if left <= 0:
                raise Stuck(f"{what}: {len(found)} of {count} workers said {event} within {timeout} s")
            self.read(left)
        return found


class Stuck(Exception):
    """A subject did not do what was asked of it; its measure is left out, by name."""
