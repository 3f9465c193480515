"""Every worker in a cgroup of its own, under a real systemd: nothing escapes, nothing is left over, and one that takes
all the memory is named and does not take the service with it."""

import signal
import unittest

from kit import proc
from kit.installed import installed
from kit.runner import either_base, within
from kit.waiting import holds_for, wait_until


def place(it, pid):
    """The cgroup of version 2 of a process, as the machine has it."""
    lines = it.machine.run("cat", f"/proc/{pid}/cgroup").stdout.splitlines()
    return next(line[3:] for line in lines if line.startswith("0::"))


def unit_folder(it):
    """Where the unit's cgroup lies, whether version 2 is alone or beside the older one."""
    roots = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
    group = it.property("ControlGroup")
    return next(root + group for root in roots if it.machine.path(f"{root}{group}/cgroup.events").exists())


def cgroups(it):
    """Names of the cgroups in the unit's."""
    folder = it.machine.path(unit_folder(it))
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def crashing(it, script, **keys):
    """An engine that runs a script again and again, at once."""
    restart = {"delay": "1ms", "max-delay": "1ms", "give-up-after": 1000000}
    it.engines["jobs"] = it.idle(command=["/bin/sh", "-c", script], ready={"after": "1ms"}, restart=restart, **keys)


def workers(it, engine):
    return next(each["workers"] for each in it.status()["engines"] if each["name"] == engine)


def restarts(it, engine):
    return sum(each["restarts"] for each in workers(it, engine))


@within(120)
class Places(unittest.TestCase):
    def test_batond_and_each_worker_have_their_own_also_after_an_upgrade_and_a_crash(self):
        with installed() as it:
            it.drop_in("[Service]\nWatchdogSec=2\n")
            it.start()
            group = it.property("ControlGroup")

            def check():
                self.assertEqual(place(it, it.pid()), f"{group}/supervisor")
                places = {place(it, pid) for pid in it.pids()}
                self.assertEqual(len(places), 2)
                self.assertTrue(all(each.startswith(f"{group}/web.") for each in places), places)
                self.assertEqual(cgroups(it), sorted(["supervisor", *(each.split("/")[-1] for each in places)]))

            check()
            before = it.pid()
            it.baton("upgrade", "demo")
            check()
            self.assertEqual(it.pid(), before)
            # systemd hears the watchdog from there, and finds the main process.
            holds_for(lambda: it.pid() == before, 3, "fed")
            it.kill()
            wait_until(lambda: it.pid() not in (0, before) and it.property("ActiveState") == "active", 20)
            wait_until(lambda: len(it.pids()) == 2, 10, "the workers")
            check()
            it.systemctl("reload")
            wait_until(lambda: len(cgroups(it)) == 3, 10, lambda: f"the old generation's cgroups to be gone: {cgroups(it)}")
            it.systemctl("restart")
            check()
            it.systemctl("stop")
            self.assertEqual(it.property("Result"), "success")
            self.assertEqual(it.left(), [])

    def test_what_is_not_in_force_is_said(self):
        with installed() as it:
            it.engines["web"].update({"memory-max": "200M", "cpu-max": "150%", "pids-max": 50})
            it.start()
            has = it.machine.read(f"{unit_folder(it)}/cgroup.controllers").split()
            warnings = " ".join(it.status()["warnings"])
            folder = unit_folder(it) + "/" + place(it, it.pids()[0]).split("/")[-1]
            bounds = (("memory-max", "memory", "209715200"), ("cpu-max", "cpu", "150000 100000"), ("pids-max", "pids", "50"))
            for key, controller, value in bounds:
                if controller in has:
                    self.assertNotIn(key, warnings)
                    self.assertEqual(it.machine.read(f"{folder}/{controller}.max").strip(), value)
                else:
                    self.assertIn(f"{key} is not in force", warnings)
                    self.assertIn(f"{key} of engine web", it.baton("doctor", "demo", check=False).stdout)
                    self.assertIn(f"{key} of engine web", it.baton("check", "demo").stderr)


@either_base
@within(180)
class Escapes(unittest.TestCase):
    def test_hundreds_of_restarts_of_one_that_forks_away_leave_nothing(self):
        with installed() as it:
            crashing(it, "env -i setsid setsid sleep 7777 & exec sleep 0.01", workers=3)
            it.start()
            wait_until(lambda: restarts(it, "jobs") >= 300, 120, lambda: f"300 restarts, {restarts(it, 'jobs')} by now")
            self.assertLessEqual(len(cgroups(it)), 1 + 2 + 3)
            running = [pid for pid in it.machine.processes() if proc.command_line(pid) == ["sleep", "7777"]]
            self.assertLessEqual(len(running), 6)
            it.systemctl("stop")
            left = [pid for pid in it.machine.processes() if proc.command_line(pid)[:1] == ["sleep"]]
            self.assertEqual(left, [])

    def test_a_stopped_worker_hears_sigterm_and_ends_in_order(self):
        with installed() as it:
            it.start()
            for pid in it.pids():
                proc.kill(it.machine.pid_outside(pid), signal.SIGSTOP)
            it.systemctl("reload")
            wait_until(lambda: len(it.stamps("exit")) == 2, 10, "the stopped workers to end by themselves")
            self.assertNotIn("is killed", it.journal())


@within(120)
class Memory(unittest.TestCase):
    def test_one_that_grows_is_replaced_with_what_the_unit_may_read(self):
        with installed() as it:
            it.engines["web"] = it.web("--misbehave", "grows-memory=20", workers=1)
            it.engines["web"]["memory-limit"] = "40M"
            it.start()
            before = it.pids()
            wait_until(lambda: it.pids() and it.pids() != before, 30, "the worker that has grown to be replaced")
            self.assertIn("is replaced by a fresh one: it takes", it.journal())

    def test_one_that_takes_all_memory_is_named_and_the_service_goes_on(self):
        with installed() as it:
            it.drop_in("[Service]\nMemoryMax=150M\nMemorySwapMax=0\n")
            it.engines["eater"] = it.idle(
                command=["/usr/bin/tail", "/dev/zero"], ready={"after": "1ms"}, stop_timeout="1s",
                restart={"delay": "10s", "max-delay": "10s"})  # fmt: skip
            it.start()
            before = it.pid()
            wait_until(lambda: restarts(it, "eater") >= 1, 60, "the kernel to kill it")
            self.assertEqual((it.pid(), it.property("ActiveState"), it.property("NRestarts")), (before, "active", "0"))
            self.assertEqual(it.ask().status, 200)
            self.assertEqual(len(it.pids()), 2)
            self.assertEqual(restarts(it, "web"), 0)
            events = it.baton("events", "demo", "--json").stdout
            self.assertIn("worker-out-of-memory", events)
            self.assertIn("for want of memory", it.journal())
            self.assertIn("memory", workers(it, "eater")[0]["lastExit"])
            # A kill by hand afterwards is no want of memory, once the one that was started again at once has met its own.
            wait_until(lambda: workers(it, "eater")[0]["state"] == "waiting", 30, "the second kill by the kernel")
            proc.kill(it.machine.pid_outside(it.pids()[0]), signal.SIGKILL)
            wait_until(lambda: restarts(it, "web") == 1, 10, "the replacement")
            ends = [each["lastExit"] for each in workers(it, "web") if each.get("lastExit")]
            self.assertEqual(ends, ["ended with SIGKILL"])
