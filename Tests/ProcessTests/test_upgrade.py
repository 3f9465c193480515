"""Upgrade in place: another batond takes over, with the same pid, workers and sockets, and nobody notices."""

import os
import unittest

from kit import http, proc, programs, varlink
from kit.load import Load
from kit.runner import within
from kit.supervisor import Supervisor, service
from kit.waiting import wait_until


class Upgradable(Supervisor):
    """A batond that was started from a file of its own, which another one can be put in place of."""

    def __init__(self, of, **options):
        self.file = of.folder / "bin" / "batond"
        self.file.parent.mkdir()
        self.put(programs.path("batond"))
        super().__init__(of, program=self.file, **options)

    def put(self, target):
        """`target` lies there from now on: a file, or the text of a script."""
        fresh = self.file.with_name("fresh")
        if str(target).startswith("#!"):
            fresh.write_text(target)
            fresh.chmod(0o755)
        else:
            fresh.symlink_to(target)
        fresh.rename(self.file)

    def upgrade(self, within=30):
        """The verdict of an upgrade that was done."""
        return self.call("Upgrade", within, wait=True)["verdict"]

    def refused_upgrade(self, within=30):
        try:
            verdict = self.upgrade(within)
        except varlink.VarlinkError as error:
            if error.name != "Failed":
                raise
            return error.parameters
        raise AssertionError(f"the upgrade was not refused: {verdict}")


class upgradable:
    """As `running`, with a batond that can be upgraded."""

    def __init__(self, change=None, **options):
        self.change, self.options = change, options

    def __enter__(self):
        self.service = service()
        made = self.service.__enter__()
        if self.change:
            self.change(made)
        self.supervisor = Upgradable(made, **self.options)
        return self.supervisor.__enter__()

    def __exit__(self, *what):
        try:
            self.supervisor.__exit__(*what)
        finally:
            self.service.__exit__(*what)


# A program that does something before it becomes batond, in the place where nobody supervises.
BETWEEN = """#!/usr/bin/env python3
import os, signal, sys
if "--self-check" not in sys.argv:
    %s
os.execv("%s", sys.argv)
"""


def workers(count):
    return lambda made: made.engines["web"].update(workers=count)


class Kept(unittest.TestCase):
    def test_pid_workers_sockets_and_generation_stay(self):
        with upgradable(workers(3)) as supervisor:
            before = supervisor.status()
            pids = supervisor.pids()
            port = supervisor.of.port
            inode = os.stat(supervisor.control).st_ino
            verdict = supervisor.upgrade()
            self.assertEqual((verdict["outcome"], verdict["act"]), ("done", "upgrade"))
            after = supervisor.status()
            self.assertEqual(after["supervisor"]["pid"], supervisor.pid)
            self.assertEqual(supervisor.pids(), pids)
            self.assertEqual((after["serving"], after["state"]), (before["serving"], "serving"))
            self.assertEqual(os.stat(supervisor.control).st_ino, inode)
            self.assertEqual(http.ask(port).status, 200)
            self.assertIn("without supervision", supervisor.log())

    def test_everything_works_after_it_as_before(self):
        with upgradable(workers(2)) as supervisor:
            supervisor.upgrade()
            self.assertEqual(supervisor.reload()["generation"], 2)
            supervisor.upgrade()
            supervisor.call("Scale", engine="web", workers=3, wait=True)
            self.assertEqual(len(supervisor.pids()), 3)
            supervisor.upgrade()
            supervisor.call("Restart", within=60, wait=True)
            self.assertEqual(http.ask(supervisor.of.port).generation, 3)
            supervisor.upgrade()
            first = supervisor.pids()[0]
            proc.kill(first)
            wait_until(lambda: len(supervisor.pids()) == 2 and first not in supervisor.pids(), 10, "a new worker")
            self.assertEqual(supervisor.stop()[0], 0)

    def test_what_a_worker_says_meanwhile_is_not_lost(self):
        with upgradable(workers(1)) as supervisor:
            pid = supervisor.pids()[0]
            notify = proc.environment(pid)["NOTIFY_SOCKET"]
            supervisor.upgrade()
            self.assertEqual(proc.environment(supervisor.pids()[0])["NOTIFY_SOCKET"], notify)
            self.assertTrue(os.path.exists(notify))

    def test_the_pinned_settings_are_those_it_had(self):
        with upgradable(workers(1)) as supervisor:
            supervisor.of.engines["web"] = supervisor.of.web("--version-text", "another")
            supervisor.of.write()
            supervisor.upgrade()
            old = supervisor.pids()[0]
            proc.kill(old)
            wait_until(lambda: supervisor.pids() not in ([], [old]), 10, "the worker to be started again")
            self.assertNotEqual(http.ask(supervisor.of.port).release, "another")
            self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(http.ask(supervisor.of.port).release, "another")

    def test_two_generations_that_drain_and_serve_stay(self):
        with upgradable(workers(1)) as supervisor:
            with http.Client(supervisor.of.port) as client:
                client.send("/slow?ms=3000")
                wait_until(lambda: supervisor.of.counts()["clients"] >= 1, 5, "the request to arrive")
                supervisor.reload()
                supervisor.upgrade()
                self.assertEqual(supervisor.status()["draining"], [1])
                self.assertEqual(client.receive().generation, 1)
            supervisor.wait_status(lambda seen: not seen["draining"], 10, "the old generation to be gone")

    def test_events_go_on_and_tell_of_it(self):
        with upgradable(workers(1)) as supervisor:
            with varlink.Connection(supervisor.control, 20) as follower:
                follower.send("Events", more=True, limit=0, follow=True)
                follower.receive()
                supervisor.upgrade()
                kinds = []
                while "upgraded" not in kinds:
                    kinds += [event["kind"] for event in follower.answer()["events"]]
            kinds = [event["kind"] for event in supervisor.call("Events", limit=100)["events"]]
            self.assertEqual(kinds.count("upgraded"), 1)
            self.assertEqual(kinds.count("worker-started"), 1)

    def open_in(self, supervisor):
        supervisor.call("Events", limit=1)  # the ledger is open by then
        return sorted(proc.descriptors(supervisor.pid).values())

    @within(300)
    def test_a_hundred_upgrades_leak_nothing(self):
        with upgradable(workers(2)) as supervisor:
            pids = supervisor.pids()
            for _ in range(5):
                supervisor.upgrade()
            descriptors, rss = self.open_in(supervisor), proc.rss_bytes(supervisor.pid)
            for _ in range(95):
                supervisor.upgrade()
            wait_until(
                lambda: len(self.open_in(supervisor)) <= len(descriptors), 5,
                lambda: f"no more descriptors than {descriptors}, now {self.open_in(supervisor)}")
            self.assertLess(proc.rss_bytes(supervisor.pid), rss * 1.2)
            self.assertEqual(supervisor.pids(), pids)
            wait_until(lambda: proc.threads(supervisor.pid) <= 2, 5, "no more threads than before")


class UnderLoad(unittest.TestCase):
    @within(200)
    def test_no_request_fails(self):
        with upgradable(workers(2)) as supervisor:
            with Load(supervisor.of.port, 500, "--connections", 8) as fresh:
                for round in range(20):
                    asked = supervisor.of.counts()["clients"]
                    wait_until(lambda: supervisor.of.counts()["clients"] > asked + 20, 10, "clients in between")
                    supervisor.upgrade()
                    if round % 5 == 4:
                        supervisor.reload()
            self.assertEqual(fresh.report.failed, 0, fresh.report)
            self.assertGreater(fresh.report.sent, 400)


class Meanwhile(unittest.TestCase):
    """Something else happens at the same time."""

    SLOW_CHECK = "#!/bin/sh\ncase \"$*\" in *--self-check*) while [ ! -e {go} ]; do sleep 0.02; done;; esac\nexec {real} \"$@\"\n"

    def slow(self, supervisor):
        """The check of the next upgrade takes until `go` is there."""
        go = supervisor.of.folder / "go"
        supervisor.put(self.SLOW_CHECK.format(go=go, real=programs.path("batond")))
        return go

    def begin(self, supervisor):
        connection = varlink.Connection(supervisor.control, 60)
        connection.send("Upgrade", more=True, wait=True)
        while True:
            if "asking" in connection.answer()["progress"]["text"]:
                return connection

    def verdict(self, connection):
        while True:
            message = connection.receive()
            if not message.get("continues"):
                connection.close()
                return message["parameters"].get("verdict", message["parameters"])

    def test_a_reload_during_the_check_is_done_first(self):
        with upgradable(workers(1)) as supervisor:
            go = self.slow(supervisor)
            upgrade = self.begin(supervisor)
            supervisor.of.engines["web"] = supervisor.of.web("--start-delay", 700)
            supervisor.of.write()
            with varlink.Connection(supervisor.control, 60) as reload:
                reload.send("Reload", wait=True)
                wait_until(lambda: supervisor.status()["state"] == "handover", 5, "the handover")
                go.touch()
                self.assertEqual(reload.answer()["verdict"]["outcome"], "done")
            self.assertEqual(self.verdict(upgrade)["outcome"], "done")
            self.assertEqual(supervisor.status()["serving"], 2)

    def test_a_held_candidate_is_waited_for(self):
        with upgradable(workers(1)) as supervisor:
            with varlink.Connection(supervisor.control, 60) as reload:
                reload.send("Reload", more=True, holdMs=60_000)
                while "held" not in (progress := reload.answer()["progress"]):
                    pass
                with varlink.Connection(supervisor.control, 60) as upgrade:
                    upgrade.send("Upgrade", more=True, wait=True)
                    self.assertIn("waits", upgrade.answer()["progress"]["text"])
                    supervisor.call("Commit", operation=progress["operation"])
                    while "verdict" not in (reply := upgrade.answer()):
                        pass
                    self.assertEqual(reply["verdict"]["outcome"], "done")
            self.assertEqual(supervisor.status()["serving"], 2)

    def test_a_second_one_is_told_that_it_is_busy(self):
        with upgradable(workers(1)) as supervisor:
            go = self.slow(supervisor)
            upgrade = self.begin(supervisor)
            with self.assertRaises(varlink.VarlinkError) as caught:
                supervisor.upgrade()
            self.assertEqual(caught.exception.name, "Busy")
            go.touch()
            self.assertEqual(self.verdict(upgrade)["outcome"], "done")

    def test_a_stop_during_the_check_wins(self):
        with upgradable(workers(1)) as supervisor:
            self.slow(supervisor)
            upgrade = self.begin(supervisor)
            status, _ = supervisor.stop()
            self.assertEqual(status, 0)
            upgrade.close()

    def test_a_signal_in_the_middle_of_the_exec_arrives(self):
        with upgradable(workers(1)) as supervisor:
            # Another program for a moment, which leaves signals blocked as it found them, as no shell does.
            supervisor.put(BETWEEN % ("os.kill(os.getpid(), signal.SIGTERM)", programs.path("batond")))
            with varlink.Connection(supervisor.control, 30) as connection:
                connection.send("Upgrade", wait=True)
                self.assertEqual(supervisor.wait(30), 0)
            self.assertIn("without supervision", supervisor.log())
            self.assertIn("stopped after", supervisor.log())

    def test_a_worker_that_dies_in_the_middle_of_the_exec_is_replaced(self):
        with upgradable(workers(2)) as supervisor:
            victim = supervisor.pids()[0]
            supervisor.put(BETWEEN % (f"os.kill({victim}, signal.SIGKILL)", programs.path("batond")))
            supervisor.upgrade()
            wait_until(lambda: len(supervisor.pids()) == 2 and victim not in supervisor.pids(), 10, "its successor")
            self.assertFalse(proc.stat(victim))
            self.assertIn("SIGKILL", supervisor.log())

    def test_lines_printed_in_the_middle_of_the_exec_are_not_lost(self):
        with upgradable(workers(1)) as supervisor:
            pid = supervisor.pids()[0]
            supervisor.put(
                BETWEEN % (f"open('/proc/{pid}/fd/1', 'w').write('said in between\\n')", programs.path("batond")))
            supervisor.upgrade()
            supervisor.wait_for_log("said in between")


class Refused(unittest.TestCase):
    """Whatever is wrong with the new program, the old one goes on."""

    def check(self, change, *words):
        with upgradable(workers(1)) as supervisor:
            pids = supervisor.pids()
            change(supervisor)
            verdict = supervisor.refused_upgrade()
            self.assertEqual((verdict["outcome"], verdict["exitCode"]), ("failed", 1))
            for word in words:
                self.assertIn(word, verdict["what"])
            self.assertEqual(supervisor.pids(), pids)
            self.assertEqual(http.ask(supervisor.of.port).status, 200)
            kinds = [event["kind"] for event in supervisor.call("Events", limit=100)["events"]]
            self.assertIn("upgrade-refused", kinds)
            # Signals are heard as before, and the next one is done.
            supervisor.put(programs.path("batond"))
            supervisor.of.write()
            self.assertEqual(supervisor.upgrade()["outcome"], "done")
            self.assertEqual(supervisor.stop()[0], 0)

    def test_one_that_is_missing(self):
        self.check(lambda supervisor: supervisor.file.unlink(), "ENOENT")

    def test_one_that_is_not_executable(self):
        def change(supervisor):
            supervisor.put("#!/bin/sh\n")
            supervisor.file.chmod(0o644)

        self.check(change, "EACCES")

    def test_one_that_says_no(self):
        self.check(lambda supervisor: supervisor.put("#!/bin/sh\necho not today >&2\nexit 78\n"), "not today", "78")

    def test_one_that_crashes(self):
        self.check(lambda supervisor: supervisor.put("#!/bin/sh\nkill -SEGV $$\n"), "SIGSEGV")

    @within(90)
    def test_one_that_hangs(self):
        self.check(lambda supervisor: supervisor.put("#!/bin/sh\nexec sleep 1000\n"), "not done within 10s")

    def test_one_that_vanishes_after_the_check(self):
        self.check(
            lambda supervisor: supervisor.put("#!/bin/sh\nrm -f \"$0\"\nexit 0\n"), "ENOENT")

    def test_settings_that_the_new_one_cannot_read(self):
        self.check(lambda supervisor: supervisor.of.write("nonsense = 1\n"), "nonsense")

    def test_a_state_that_the_new_one_cannot_read(self):
        reader = """#!/usr/bin/env python3
import os, sys
state = os.pread(3, 1 << 24, 0)
changed = state.replace(b'"readableBy":1', b'"readableBy":99')
assert changed != state
memory = os.memfd_create("state", os.MFD_ALLOW_SEALING)
os.write(memory, changed)
import fcntl
fcntl.fcntl(memory, 1033, 15)
os.dup2(memory, 3)
os.execv("%s", sys.argv)
"""
        self.check(lambda supervisor: supervisor.put(reader % programs.path("batond")), "99")


class Told(unittest.TestCase):
    def test_by_the_command(self):
        with upgradable(workers(1)) as supervisor:
            done = supervisor.baton("upgrade")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("without supervision", done.stdout)
            supervisor.file.unlink()
            done = supervisor.baton("upgrade")
            self.assertEqual(done.returncode, 1)
            self.assertIn("ENOENT", done.stderr)
            self.assertIn("goes on", done.stderr)
