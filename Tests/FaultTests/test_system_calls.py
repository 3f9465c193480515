"""System calls of batond's own thread fail while it replaces a generation: each of them once, at each of its first places,
and for ever. Whatever comes of that, the service answers all the time, what is not done is said with the kernel's reason,
and once the calls work again the next reload is done, with nothing left over.

The short form tries two of the places of each call (BATON_SEED) and for ever; BATON_FAULTS=all all places.
BATON_CALL=NAME tries one of them alone.
"""

import collections
import contextlib
import os
import re
import signal
import unittest

from kit import proc
from kit.forms import sample
from kit.injection import Asking, Injection
from kit.manager import managed, with_sockets
from kit.runner import within
from kit.turns import idle_listeners
from kit.waiting import wait_until

# What each fails with where it fails, and at how many of its places it is tried.
START = {"clone3": ("EAGAIN", 2), "pipe2": ("EMFILE", 2), "openat": ("EMFILE", 12), "fcntl": ("EMFILE", 5)}
LISTENERS = {
    "socket": ("EMFILE", 8), "bind": ("EADDRINUSE", 2), "listen": ("EADDRINUSE", 1), "setsockopt": ("ENOMEM", 7),
    "getsockopt": ("ENOBUFS", 6), "getsockname": ("ENOBUFS", 1), "chmod": ("EPERM", 1), "connect": ("EAGAIN", 1),
}  # fmt: skip
KEPT = {"sendmsg": ("ENOBUFS", 6), "sendto": ("ENOBUFS", 6), "pwrite64": ("ENOSPC", 6)}
LOOP = {
    "epoll_ctl": ("ENOMEM", 8), "accept4": ("EMFILE", 2), "pidfd_send_signal": ("EPERM", 2), "getdents64": ("EIO", 2),
    "unlink": ("EACCES", 1), "write": ("ENOSPC", 8),
}  # fmt: skip

DECIDED = re.compile(r"batond: (error: |warning: )*(generation \d+ (serves|is refused)|reload refused)")


def descriptors(it):
    """How many of each kind, without the listeners that stay by design."""
    found = collections.Counter({"socket": -idle_listeners(it)})
    for each in os.listdir(f"/proc/{it.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            kind = os.readlink(f"/proc/{it.pid}/fd/{each}").split(":")[0]
            # The ledger opens its files when it first has something to write.
            if "/ledger.db" not in kind:
                found[kind] += 1
    return found


def at_rest(it):
    status = it.status()
    if status["state"] != "serving" or status["draining"] or len(it.stored("http.")) != 1:
        return None
    return status["serving"]


class Calls(unittest.TestCase):
    def walk(self, calls):
        only = os.environ.get("BATON_CALL")
        with managed(with_sockets("http")) as it:
            self.reload(it)
            wait_until(lambda: at_rest(it), 10)
            usual = descriptors(it)
            outcomes = {}
            for call, (error, places) in calls.items():
                if only in (None, call):
                    for when in [*map(str, sample(range(1, places + 1), 2, call)), "1+"]:
                        # Each is tried, whatever became of those before.
                        with self.subTest(f"{call} {when}"):
                            outcomes.setdefault(call, []).append(self.inject(it, call, error, when, usual))
            for call, each in outcomes.items():
                print(f"{call}: {' '.join(each)}")

    def reload(self, it):
        self.assertEqual(it.call("Reload", 20, wait=True)["verdict"]["outcome"], "done")

    def inject(self, it, call, error, when, usual):
        what = f"{call} {when} {error}"
        said = len(it.log())
        with Asking(it.of.port) as asking:
            with Injection(it.pid, call, error, when):
                it.signal(signal.SIGHUP)
                try:
                    wait_until(lambda: DECIDED.search(it.log()[said:]), 3)
                except AssertionError:
                    pass
            wait_until(lambda: at_rest(it), 30, lambda: f"rest after {what}: {it.status()} {it.log()[said:]}")
        self.assertIsNone(it.process.poll(), what)
        # A worker that was told to end before it had said how many it took does no harm: nobody is refused or reset.
        self.assertEqual(asking.wrong, [], f"{what}: {it.log()[said:]}")
        text = it.log()[said:]
        refused = "refused" in text
        if refused:
            self.assertIn(error, text, what)
        self.reload(it)
        wait_until(lambda: at_rest(it), 20, lambda: f"rest after {what}")
        wait_until(lambda: not descriptors(it) - usual, 5, lambda: f"no more after {what}: {descriptors(it) - usual}")
        self.assertEqual(len(proc.descendants(it.pid)), 1, what)
        return "refused" if refused else "done"

    @within(280)
    def test_of_a_start(self):
        self.walk(START)

    @within(280)
    def test_of_listeners(self):
        self.walk(LISTENERS)

    @within(280)
    def test_of_what_systemd_keeps(self):
        self.walk(KEPT)

    @within(280)
    def test_of_the_loop(self):
        self.walk(LOOP)
