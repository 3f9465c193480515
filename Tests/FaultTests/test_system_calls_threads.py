"""System calls of batond's helper threads fail: while settings are read, while the ledger is written, while the store of
leases is asked, and where such a thread is started. The service answers all the time; a reload is done or refused with the
kernel's reason, and once the calls work again so does everything.

The short form tries two of the places of each call (BATON_SEED) and for ever; BATON_FAULTS=all all places.
BATON_CALL=NAME tries one of them alone.
"""

import os
import unittest

from kit.forms import sample
from kit.injection import Asking, Injection
from kit.manager import managed, with_sockets
from kit.runner import within
from kit.varlink import VarlinkError
from kit.waiting import wait_until
from test_system_calls import descriptors

SETTINGS = {"openat": ("EMFILE", 1), "read": ("EIO", 2), "newfstatat": ("EIO", 1)}
LEDGER = {
    "openat": ("EMFILE", 2), "pwrite64": ("ENOSPC", 3), "fdatasync": ("EIO", 2), "fsync": ("EIO", 1),
    "fcntl": ("ENOLCK", 3), "ftruncate": ("ENOSPC", 1), "pread64": ("EIO", 2), "unlink": ("EACCES", 1),
}  # fmt: skip
# Of the thread that starts the store's, and of the store's. Other threads of a reload come in between: the one that looks
# a group up, and those that wait for a grace period.
START = {"clone3": ("EAGAIN", 7), "pipe2": ("EMFILE", 4), "fcntl": ("EMFILE", 4), "timerfd_create": ("EMFILE", 1)}
STORE = {
    "openat": ("EMFILE", 2), "pwrite64": ("ENOSPC", 2), "fdatasync": ("EIO", 1), "fcntl": ("ENOLCK", 2), "pread64": ("EIO", 1),
}  # fmt: skip


class Threads(unittest.TestCase):
    def walk(self, calls, paths, count=2):
        only = os.environ.get("BATON_CALL")
        with managed(with_sockets("http")) as it:
            self.begin(it)
            outcomes = {}
            for call, (error, places) in calls.items():
                if only in (None, call):
                    for when in [*map(str, sample(range(1, places + 1), count, call)), "1+"]:
                        with self.subTest(f"{call} {when}"):
                            outcomes.setdefault(call, []).append(self.inject(it, call, error, when, paths(it)))
            for call, each in outcomes.items():
                print(f"{call}: {' '.join(each)}")
            return it.log()

    def begin(self, it):
        self.reload(it)

    def reload(self, it):
        try:
            return it.call("Reload", 20, wait=True)["verdict"]
        except VarlinkError as error:
            return error.parameters

    def inject(self, it, call, error, when, paths):
        what, said = f"{call} {when} {error}", len(it.log())
        with Asking(it.of.port) as asking:
            with Injection(it.pid, call, error, when, paths):
                verdict = self.reload(it)
        text = it.log()[said:]
        self.assertIsNone(it.process.poll(), what)
        self.assertEqual(asking.wrong, [], f"{what}: {text}")
        if verdict["outcome"] != "done":
            self.assertIn(error, str(verdict) + text, what)
        again = self.reload(it)
        self.assertEqual(again["outcome"], "done", f"after {what}: {again}")
        # What has happened since is in the ledger again.
        wait_until(lambda: self.is_recorded(it), 10, lambda: f"the last reload in the ledger after {what}: {it.log()[said:]}")
        return "done" if verdict["outcome"] == "done" else "refused"

    def is_recorded(self, it):
        serving = it.status()["serving"]
        events = it.call("Events", limit=1000)["events"]
        return any(event["kind"] == "generation-serving" and str(event.get("to")) == str(serving) for event in events)

    @within(200)
    def test_that_read_settings(self):
        self.walk(SETTINGS, lambda it: [it.of.file])

    @within(280)
    def test_that_write_the_ledger(self):
        self.walk(LEDGER, lambda it: [it.state / name for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm")])


class OfLeases(Threads):
    """Each time an engine with a lease comes, its store has a new thread; once it has gone, nothing of it is left."""

    test_that_read_settings = test_that_write_the_ledger = None

    def begin(self, it):
        self.turn = 0
        for _ in range(2):
            self.come(it)
            self.assertTrue(self.runs(it))
            self.go(it)
        self.usual = descriptors(it), self.threads(it)

    def come(self, it):
        """Another time to live is another store, as far as its thread is concerned."""
        self.turn += 1
        it.of.engines["robots"] = it.of.idle(lease="robots")
        it.of.more = {"leases": {"ttl": f"{2 + self.turn % 2}s"}}
        it.of.write()
        return self.reload(it)

    def go(self, it):
        del it.of.engines["robots"]
        it.of.write()
        self.assertEqual(self.reload(it)["outcome"], "done")
        wait_until(lambda: not it.status().get("leases"), 10, lambda: f"the lease to be given back: {it.status()} {it.log()[-3000:]}")

    def runs(self, it, within=20):
        def look():
            status = it.status()
            engines = [each for each in status["engines"] if each["name"] == "robots"]
            return status.get("leases") and any(each["state"] == "ready" for one in engines for each in one["workers"])

        try:
            return wait_until(look, within)
        except AssertionError:
            return None

    def more(self, it):
        """Descriptors. What SQLite closes while the next store of the same file has it locked stays open as long as that
        one: the file that was opened for writing, and where that failed for reading."""
        more = descriptors(it) - self.usual[0]
        return {kind: count for kind, count in more.items() if "/leases.db" not in kind or count > 2}

    def threads(self, it):
        return len(os.listdir(f"/proc/{it.pid}/task"))

    def inject(self, it, call, error, when, paths):
        what, said = f"{call} {when} {error}", len(it.log())
        with Asking(it.of.port) as asking:
            with Injection(it.pid, call, error, when, paths):
                verdict = self.come(it)
                was_late = not self.runs(it, 1)
            if verdict["outcome"] != "done":
                self.assertIn(error, str(verdict) + it.log()[said:], what)
                self.assertEqual(self.reload(it)["outcome"], "done", what)
            self.assertTrue(self.runs(it), f"after {what}: {it.status()} {it.log()[said:]}")
            self.go(it)
        self.assertIsNone(it.process.poll(), what)
        self.assertEqual(asking.wrong, [], f"{what}: {it.log()[said:]}")
        if was_late:
            # What goes wrong with a file SQLite says in its own words.
            self.assertIn("the store of leases cannot be asked" if paths else error, it.log()[said:], what)
        wait_until(
            lambda: not self.more(it) and self.threads(it) <= self.usual[1], 20,
            lambda: f"no more after {what}: {self.more(it)}, {self.threads(it)} threads, {it.log()[said:]}",
        )  # fmt: skip
        return "refused" if verdict["outcome"] != "done" else "late" if was_late else "done"

    @within(200)
    def test_where_its_thread_is_started(self):
        # Which place is its own is not known beforehand: all are tried.
        log = self.walk(START, lambda it: [], count=max(places for _, places in START.values()))
        if "BATON_CALL" not in os.environ:
            for words in ("start the thread of the store of leases: EAGAIN", "make a pipe", "make a timer: EMFILE"):
                self.assertRegex(log, "leases cannot be kept: " + words)

    @within(200)
    def test_where_it_is_asked(self):
        self.walk(STORE, lambda it: [it.state.parent / name for name in ("leases.db", "leases.db-wal", "leases.db-shm")])
