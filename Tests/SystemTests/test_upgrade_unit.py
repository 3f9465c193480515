"""`baton upgrade` under a real systemd: another batond in place of the running one, and what systemd then says."""

import unittest

from kit.installed import installed
from kit.runner import within
from kit.waiting import holds_for, wait_until

BATOND = "/usr/bin/batond"
REAL = "/usr/lib/baton-test/real-batond"


def replace(it, text=None):
    """Another file lies where batond was started from: the same program again, or a script."""
    it.machine.run("sh", "-c", f"test -e {REAL} || cp {BATOND} {REAL}")
    if text is None:
        it.machine.run("cp", REAL, f"{BATOND}.new")
    else:
        it.machine.write(f"{BATOND}.new", text, mode=0o755)
    it.machine.run("mv", f"{BATOND}.new", BATOND)


def is_replaced(it):
    """Whether the process still runs a file that is not there any more."""
    return it.machine.run("readlink", f"/proc/{it.pid()}/exe").stdout.strip().endswith("(deleted)")


class Watched:
    """What must be the same before and after."""

    def __init__(self, it):
        self.it = it
        self.pid, self.workers = it.pid(), it.pids()
        self.invocation, self.stored = it.property("InvocationID"), it.property("NFileDescriptorStore")

    def check(self, test):
        it = self.it
        test.assertEqual(it.pid(), self.pid)
        test.assertEqual(it.pids(), self.workers)
        test.assertEqual(it.property("InvocationID"), self.invocation)
        test.assertEqual(it.property("NFileDescriptorStore"), self.stored)
        test.assertEqual(it.property("NRestarts"), "0")
        test.assertEqual((it.property("ActiveState"), it.property("SubState")), ("active", "running"))


@within(180)
class Upgrade(unittest.TestCase):
    def test_all_that_run_are_upgraded_and_one_that_cannot_is_named(self):
        with installed() as it:
            it.start()
            it.machine.write(
                "/etc/baton/other.toml",
                '[service]\nuser = "demo"\ndirectory = "/"\n[engine.idle]\ncommand = ["/bin/sleep", "1000"]\nready = { after = "1ms" }\n')
            it.machine.run("systemctl", "start", "baton@other")
            replace(it)
            said = it.machine.run("baton", "upgrade", "--all").stdout
            self.assertLess(said.index("demo:"), said.index("other:"), said)
            for name in ("demo", "other"):
                pid = it.machine.property(f"baton@{name}", "MainPID")
                self.assertNotIn("deleted", it.machine.run("readlink", f"/proc/{pid}/exe").stdout, said)
            replace(it, "#!/bin/sh\necho nothing of yours is mine >&2\nexit 1\n")
            done = it.machine.run("baton", "upgrade", "--all", check=False)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertEqual(done.stderr.count("nothing of yours is mine"), 2, done.stderr)
            replace(it)
            it.machine.run("systemctl", "stop", "baton@demo", "baton@other")
            self.assertIn("no service runs here", it.machine.run("baton", "upgrade", "--all").stdout)

    def test_nobody_notices_and_systemd_sees_the_same_process(self):
        with installed() as it:
            it.drop_in("[Service]\nWatchdogSec=2\n")
            it.start()
            seen = Watched(it)
            with it.load() as load:
                for _ in range(5):
                    asked = it.counts()["clients"]
                    wait_until(lambda: it.counts()["clients"] > asked + 20, 10, "clients in between")
                    replace(it)
                    self.assertTrue(is_replaced(it))
                    it.baton("upgrade", "demo")
                    self.assertFalse(is_replaced(it))
                    seen.check(self)
                # The new image feeds the watchdog that systemd armed for the first one.
                holds_for(lambda: it.pid() == seen.pid, 5, "fed")
                seen.check(self)
                self.assertGreater(int(it.property("WatchdogTimestampMonotonic")), 0)
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertGreater(load.report.sent, 500)
            self.assertIn("serves", it.property("StatusText"))
            # It stops in order afterwards, and reloads before that.
            it.systemctl("reload")
            self.assertEqual(it.status()["serving"], 2)
            it.systemctl("stop")
            self.assertEqual((it.property("Result"), it.property("ExecMainStatus")), ("success", "0"))
            self.assertEqual(it.property("NFileDescriptorStore"), "0")
            self.assertEqual(it.left(), [])

    def test_the_stored_sockets_are_those_that_come_back_after_a_crash_later(self):
        with installed() as it:
            it.start()
            replace(it)
            it.baton("upgrade", "demo")
            with it.load(200, "--mode", "new", "--timeout", "20") as load:
                wait_until(lambda: it.counts()["clients"] > 50, 10)
                before = it.pid()
                it.kill()
                wait_until(lambda: it.pid() not in (0, before) and it.property("ActiveState") == "active", 20)
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 50, 10)
            self.assertEqual(load.report.json["failures"].get("refused", 0), 0, load.report)

    def test_the_queue_is_kept_by_a_restart_of_an_upgraded_one(self):
        with installed() as it:
            it.start()
            replace(it)
            it.baton("upgrade", "demo")
            with it.load(200, "--mode", "new", "--timeout", "20") as load:
                wait_until(lambda: it.counts()["clients"] > 50, 10)
                it.systemctl("restart")
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 50, 10)
            self.assertEqual(load.report.failed, 0, load.report)


@within(180)
class OnReload(unittest.TestCase):
    def test_systemctl_reload_upgrades_first_when_the_settings_say_so(self):
        with installed() as it:
            it.handover = {"upgrade-on-reload": True}
            it.start()
            before = it.pid()
            with it.load() as load:
                it.systemctl("reload")
                self.assertNotIn("without supervision", it.journal())
                replace(it)
                it.engines["web"] = it.web("--version-text", "two")
                it.write()
                it.systemctl("reload")
                self.assertEqual(it.ask().release, "two")
            self.assertFalse(is_replaced(it))
            self.assertEqual((it.pid(), it.status()["serving"]), (before, 3))
            self.assertIn("without supervision", it.journal())
            self.assertEqual(load.report.failed, 0, load.report)

    def test_it_does_not_when_they_do_not(self):
        with installed() as it:
            it.start()
            replace(it)
            it.systemctl("reload")
            self.assertTrue(is_replaced(it))
            self.assertEqual(it.status()["serving"], 2)

    def test_one_that_is_refused_does_not_keep_the_reload_from_being_done(self):
        with installed() as it:
            it.handover = {"upgrade-on-reload": True}
            it.start()
            replace(it, "#!/bin/sh\necho not today >&2\nexit 78\n")
            it.systemctl("reload")
            self.assertEqual(it.status()["serving"], 2)
            self.assertIn("not today", it.journal())


@within(180)
class Refused(unittest.TestCase):
    def test_a_bad_program_is_refused_and_the_old_one_goes_on(self):
        with installed() as it:
            it.start()
            seen = Watched(it)
            with it.load() as load:
                for text, mode, says in (
                    ("#!/bin/sh\nexit 0\n", "644", "EACCES"),
                    ("#!/bin/sh\necho cannot >&2\nexit 9\n", "755", "cannot"),
                    ("no program at all\n", "755", "ENOEXEC"),
                ):
                    replace(it, text)
                    it.machine.run("chmod", mode, BATOND)
                    done = it.baton("upgrade", "demo", check=False)
                    self.assertEqual(done.returncode, 1, done)
                    self.assertIn(says, done.stderr)
                    self.assertIn("goes on", done.stderr)
                    seen.check(self)
            self.assertEqual(load.report.failed, 0, load.report)
            replace(it)
            it.baton("upgrade", "demo")
            seen.check(self)

    def test_one_that_dies_before_its_loop_runs_is_a_crash_and_refuses_nobody(self):
        with installed() as it:
            it.start()
            before = it.pids()
            with it.load(200, "--mode", "new", "--timeout", "20") as load:
                wait_until(lambda: it.counts()["clients"] > 50, 10)
                # It passes the check, dies once it has to work, and works when systemd starts it again.
                replace(
                    it,
                    f'#!/bin/sh\ncase "$*" in *--self-check*) exec {REAL} "$@";; esac\n'
                    f'test -e /run/died || {{ touch /run/died; kill -SEGV $$; }}\nexec {REAL} "$@"\n')
                it.baton("upgrade", "demo", check=False)
                wait_until(
                    lambda: it.property("NRestarts") == "1" and it.property("ActiveState") == "active", 20,
                    lambda: it.journal()[-3000:])
                asked = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > asked + 50, 10)
            self.assertEqual(load.report.json["failures"].get("refused", 0), 0, load.report)
            self.assertFalse(set(it.pids()) & set(before))
            self.assertEqual(len(it.pids()), 2)
