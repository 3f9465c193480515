"""System calls of batond's own thread fail while it starts, for the first time and after a crash: each of them once, at each
of its first places, and for ever. Either it serves all the same, or it ends with a status and the kernel's reason; then the
next start serves, and what waits in the listeners that systemd keeps is served and not lost.

The short form tries one of the places of each call (BATON_SEED) and for ever; BATON_FAULTS=all all places.
BATON_CALL=NAME tries one of them alone.
"""

import collections
import os
import pathlib
import re
import signal
import unittest

from kit import http, programs
from kit.forms import sample
from kit.injection import injected
from kit.manager import Client, fill, managed, with_sockets
from kit.runner import within
from kit.waiting import wait_until

# What each fails with where it fails, and at how many of its places it is tried.
FILES = {
    "openat": ("EMFILE", 10), "mkdir": ("ENOSPC", 3), "flock": ("ENOLCK", 1), "rename": ("ENOSPC", 1),
    "memfd_create": ("EMFILE", 1), "ftruncate": ("ENOSPC", 1), "pwrite64": ("ENOSPC", 3), "fcntl": ("EMFILE", 4),
    "readlinkat": ("EIO", 2), "getdents64": ("EIO", 1),
}  # fmt: skip
SOCKETS = {
    "socket": ("EMFILE", 8), "bind": ("EADDRINUSE", 3), "listen": ("EADDRINUSE", 2), "setsockopt": ("ENOMEM", 5),
    "getsockopt": ("ENOBUFS", 5), "getsockname": ("ENOBUFS", 2), "chmod": ("EPERM", 2), "connect": ("EAGAIN", 4),
    "sendmsg": ("ENOBUFS", 5), "sendto": ("ENOBUFS", 5), "recvmsg": ("EIO", 2),
}  # fmt: skip
LOOP = {
    "epoll_create1": ("EMFILE", 1), "epoll_ctl": ("ENOMEM", 8), "timerfd_create": ("EMFILE", 1),
    "timerfd_settime": ("ENOMEM", 1), "signalfd4": ("EMFILE", 1), "eventfd2": ("EMFILE", 1), "clone3": ("EAGAIN", 3),
    "pipe2": ("EMFILE", 3), "socketpair": ("EMFILE", 1), "prctl": ("EPERM", 4), "accept4": ("EMFILE", 2),
}  # fmt: skip
# By which it learns what came back, and tells the kernel where clients are to go.
RECOVERY = {
    "getsockname": ("ENOBUFS", 5), "getsockopt": ("ENOBUFS", 8), "setsockopt": ("ENOMEM", 5), "socket": ("EMFILE", 6),
    "connect": ("EAGAIN", 4),
}  # fmt: skip

# For ever, no worker could ever say that it is ready.
ONCE = {"recvmsg"}


def before_main(it):
    """How many calls of each kind the loader makes before the program does anything: those are not batond's."""
    trace = it.of.folder / "trace"
    it.prefix = [programs.tool("strace"), "-D", "-o", str(trace)]
    it.restart()
    it.stop()
    it.prefix = []
    counts = collections.Counter()
    for line in pathlib.Path(trace).read_text(errors="replace").splitlines():
        if str(it.of.file) in line and line.startswith("openat"):
            return counts
        counts[re.match(r"\w*", line).group()] += 1
    raise AssertionError("it never read its settings")


def chosen(call, places, crashed):
    """At which of a call's first places it is tried to fail."""
    return sample(range(1, places + 1), 1, f"{call} {crashed}")


class Starts(unittest.TestCase):
    def walk(self, calls, crashed):
        only = os.environ.get("BATON_CALL")
        with managed(with_sockets("http")) as it:
            it.stop()
            offsets = before_main(it)
            it.restart()
            outcomes = {}
            for call, (error, places) in calls.items():
                if only in (None, call):
                    for place in [*chosen(call, places, crashed), *(["1+"] if call not in ONCE else [])]:
                        with self.subTest(f"{call} {place}"):
                            outcomes.setdefault(call, []).append(self.begin(it, call, error, place, offsets, crashed))
            for call, each in outcomes.items():
                print(f"{call}: {' '.join(each)}")

    def begin(self, it, call, error, place, offsets, crashed):
        """One start that does not go as it should, and then one that does."""
        what = f"{call} {place} {error}"
        clients = []
        if it.process.poll() is not None:
            it.fallen()
            it.restart()
        if crashed:
            it.crash()
            clients = [Client(it.of.port) for _ in range(2)]
        else:
            it.stop()
            it.clear()
        said = len(it.log())
        first, every = (1, "+") if place == "1+" else (place, "")
        when = f"{offsets[call] + first}{every}"
        it.prefix = [programs.tool("strace"), "-D", "-o", "/dev/null", *injected(call, error, when)]
        it.start()
        it.prefix = []
        outcome = wait_until(lambda: self.outcome(it, said), 25, lambda: f"an end of {what}: {it.log()[said:]}")
        text = it.log()[said:]
        if outcome == "ended":
            self.assertGreater(it.process.returncode, 0, f"{what}: {text}")
            # After those systemd would not try again.
            self.assertNotIn(it.process.returncode, (64, 78), f"{what}: {text}")
            self.assertIn(error, text, what)
            it.fallen()
            it.restart()
        elif not every:
            # Nobody who asked in vain is left behind by it.
            clients.append(Client(it.of.port))
        if outcome == "serving" and every:
            # It goes on without what it cannot have; the next life has it again.
            it.crash()
            it.restart()
        statuses = [client.status() for client in clients]
        # What a worker had taken when its batond was killed was being answered.
        lost = [status for status in statuses if status != 200 and outcome == "ended" or "refused" in str(status)]
        self.assertEqual(lost, [], f"{what}: {statuses} {it.log()[said:]}")
        self.assertEqual(http.ask(it.of.port).status, 200, what)
        return outcome

    def outcome(self, it, said):
        if it.process.poll() is not None:
            return "ended"
        return "serving" if re.search(r"generation \d+ serves", it.log()[said:]) else None

    @within(280)
    def test_the_first_with_files(self):
        self.walk(FILES, crashed=False)

    @within(280)
    def test_the_first_with_sockets(self):
        self.walk(SOCKETS, crashed=False)

    @within(280)
    def test_the_first_with_the_loop(self):
        self.walk(LOOP, crashed=False)

    @within(280)
    def test_after_a_crash_with_files(self):
        self.walk(FILES, crashed=True)

    @within(280)
    def test_after_a_crash_with_sockets(self):
        self.walk(SOCKETS, crashed=True)

    @within(280)
    def test_after_a_crash_with_the_loop(self):
        self.walk(LOOP, crashed=True)


class Queues(unittest.TestCase):
    """Two listeners of an address come back, with clients in both, to a start in which the kernel does not answer."""

    @within(280)
    def test_of_both_everybody_is_served(self):
        only = os.environ.get("BATON_CALL")
        with managed(with_sockets("http")) as it:
            it.stop()
            offsets = before_main(it)
            it.restart()
            for call, (error, places) in RECOVERY.items():
                # Of the others one is needed to go on at all.
                for_ever = ["1+"] if call == "getsockname" else []
                for place in [*sample(range(1, places + 1), 2, call), *for_ever] if only in (None, call) else []:
                    with self.subTest(f"{call} {place}"):
                        first, every = (1, "+") if place == "1+" else (place, "")
                        self.begin(it, call, error, f"{offsets[call] + first}{every}")

    def begin(self, it, call, error, when):
        it.of.bad("never-ready", sockets=["http"], workers=1, start_timeout="60s")
        it.of.write()
        it.signal(signal.SIGHUP)
        wait_until(lambda: len(it.stored("http.")) == 2, 10)
        it.crash()
        clients, said = fill(it, "http", it.of.port), len(it.log())
        self.assertEqual(len(clients), 6)
        it.prefix = [programs.tool("strace"), "-D", "-o", "/dev/null", *injected(call, error, when)]
        it.start()
        it.prefix = []
        serving = r"generation \d+ serves"
        wait_until(lambda: it.process.poll() is not None or re.search(serving, it.log()[said:]), 25)
        if it.process.poll() is not None:
            it.fallen()
            it.restart()
        self.assertEqual({client.status() for client in clients}, {200}, it.log()[said:])
        wait_until(lambda: len(it.stored("http.")) == 1, 20, lambda: f"one listener: {it.stored()}")
