"""The unit under a real systemd: start, reload, stop, restart, and what systemd then says."""

import json
import signal
import unittest

from kit import proc
from kit.installed import installed
from kit.runner import within
from kit.waiting import holds_for, wait_until


@within(120)
class Start(unittest.TestCase):
    def test_active_means_ready(self):
        with installed() as it:
            it.engines["web"] = it.web("--start-delay", 700, workers=3)
            it.start()
            self.assertEqual(it.property("ActiveState"), "active")
            self.assertEqual(len(it.stamps("ready")), 3)
            self.assertEqual(it.ask().status, 200)
            self.assertEqual(it.status()["serving"], 1)
            self.assertIn("1", it.property("StatusText"))

    def test_a_service_that_does_not_start_fails_the_unit_with_the_reason(self):
        with installed() as it:
            it.engines["web"] = it.web("--misbehave", "exits-at-start=9")
            it.drop_in("[Service]\nRestart=no\n")
            it.write()
            self.assertNotEqual(it.systemctl("start", check=False).returncode, 0)
            self.assertEqual(it.property("Result"), "exit-code")
            self.assertIn("web", it.journal())

    def test_wrong_settings_are_told_once_and_not_tried_again(self):
        with installed() as it:
            it.write()
            it.machine.write("/etc/baton/demo.toml", "[service]\ncolour = 1\n")
            it.systemctl("start", check=False)
            self.assertEqual(it.property("ExecMainStatus"), "78")
            self.assertEqual(it.property("NRestarts"), "0")
            self.assertEqual(it.property("ActiveState"), "failed")
            self.assertIn("/etc/baton/demo.toml:2:1", it.journal())

    def test_workers_run_as_their_user_with_no_privilege(self):
        with installed() as it:
            it.start()
            for pid in it.pids():
                status = it.machine.read(f"/proc/{pid}/status")
                self.assertIn("CapEff:\t0000000000000000", status)
                self.assertEqual(it.machine.run("stat", "-c", "%U", f"/proc/{pid}").stdout.strip(), "demo")

    def test_as_an_unprivileged_user_altogether(self):
        with installed() as it:
            it.drop_in("[Service]\nUser=demo\nAmbientCapabilities=\nCapabilityBoundingSet=\n")
            it.start()
            self.assertEqual(it.ask().status, 200)
            with it.load() as load:
                it.systemctl("reload")
            self.assertEqual(load.report.failed, 0, load.report)


@within(120)
class Reload(unittest.TestCase):
    def test_it_waits_for_the_verdict_and_no_request_fails(self):
        with installed() as it:
            it.start()
            with it.load() as load:
                it.engines["web"] = it.web("--version-text", "two", "--start-delay", 800)
                it.write()
                it.systemctl("reload")
                self.assertEqual(it.ask().release, "two")
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(it.property("ActiveState"), "active")
            self.assertEqual(it.status()["serving"], 2)

    def test_a_refused_one_is_an_error_of_systemctl_with_the_reason(self):
        with installed() as it:
            it.start()
            with it.load() as load:
                for misbehaviour, says in (("answers-500", "500"), ("exits-at-start=9", "9")):
                    it.bad(misbehaviour)
                    it.write()
                    self.assertNotEqual(it.systemctl("reload", check=False).returncode, 0)
                    self.assertIn(says, it.journal("-p", "warning"))
                    self.assertEqual(it.property("ActiveState"), "active")
                    self.assertEqual(it.counts("bad")["clients"], 0)
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(it.status()["serving"], 1)

    def test_one_longer_than_the_start_timeout_is_carried_through(self):
        with installed() as it:
            it.drop_in("[Service]\nTimeoutStartSec=3\n")
            it.start()
            it.engines["web"] = it.web("--version-text", "two", "--start-delay", 5000)
            it.engines["web"]["start-timeout"] = "20s"
            it.write()
            it.systemctl("reload")
            self.assertEqual(it.ask().release, "two")

    def test_states_follow_one_another_in_order(self):
        with installed() as it:
            it.start()
            it.engines["web"] = it.web("--start-delay", 1000)
            it.write()
            reload = it.machine.start("systemctl", "reload", it.unit)
            wait_until(lambda: it.property("ActiveState") == "reloading", 5, "the state reloading")
            self.assertEqual(reload.wait(30), 0)
            self.assertEqual(it.property("ActiveState"), "active")


@within(120)
class Stop(unittest.TestCase):
    def stages(self, it):
        it.engines["jobs"] = it.idle()
        it.engines["web"]["after"] = ["jobs"]
        it.engines["store"] = it.idle(stage="database")
        it.engines["cache"] = it.idle(stage="redis")

    def ends(self, it, engine):
        found = [s for s in it.stamps() if s.worker.startswith(engine + ".")]
        return min(s.seconds for s in found if s.event == "term"), max(s.seconds for s in found if s.event == "exit")

    def test_stages_in_order_and_success(self):
        with installed() as it:
            self.stages(it)
            it.start()
            it.systemctl("stop")
            self.assertEqual((it.property("Result"), it.property("ExecMainStatus")), ("success", "0"))
            web, jobs, store, cache = (self.ends(it, name) for name in ("web", "jobs", "store", "cache"))
            self.assertLessEqual(web[1], jobs[0])
            self.assertLessEqual(jobs[1], store[0])
            self.assertLessEqual(store[1], cache[0])

    def test_stubborn_programs_are_gone_inside_the_budget_and_named(self):
        with installed() as it:
            self.stages(it)
            for name in ("web", "store"):
                it.engines[name]["command"] += ["--misbehave", "ignores-term"]
                it.engines[name]["stop-timeout"] = "20s"
            it.engines["jobs"]["command"] += ["--misbehave", "forks-away"]
            it.shutdown = {"timeout": "6s", "engines": "3s", "database": "1s"}
            it.start()
            it.systemctl("stop", within=20)
            self.assertEqual(it.property("Result"), "success")
            self.assertEqual(it.left(), [])
            journal = it.journal()
            self.assertIn("web.1", journal)
            self.assertIn("store.1", journal)

    def test_a_restart_keeps_the_queue(self):
        with installed() as it:
            it.start()
            with it.load(200, "--mode", "new", "--timeout", "20") as load:
                wait_until(lambda: it.counts()["clients"] > 50, 10)
                it.systemctl("restart")
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 50, 10)
            self.assertEqual(load.report.failed, 0, load.report)

    def test_a_stop_lets_the_port_go(self):
        with installed() as it:
            it.start()
            it.systemctl("stop")
            self.assertIsNone(it.ask())
            self.assertEqual(it.property("NFileDescriptorStore"), "0")
            it.systemctl("start")
            self.assertEqual(it.ask().status, 200)

    def test_a_stop_during_a_reload_wins(self):
        with installed() as it:
            it.start()
            it.bad("never-ready", start_timeout="60s")
            it.write()
            reload = it.machine.start("systemctl", "reload", it.unit, stderr=-3)
            wait_until(lambda: it.counts("bad")["starts"], 10, "the next generation")
            it.systemctl("stop", within=30)
            self.assertEqual(it.property("Result"), "success")
            self.assertIsNotNone(reload.wait(30))


@within(120)
class Crash(unittest.TestCase):
    """SIGKILL of the supervisor: systemd starts it again, and the sockets come back from the fd store."""

    def test_no_new_connection_is_refused(self):
        with installed() as it:
            it.start()
            with it.load(200, "--mode", "new", "--timeout", "20") as load:
                wait_until(lambda: it.counts()["clients"] > 50, 10)
                before = it.pid()
                it.kill()
                wait_until(lambda: it.pid() not in (0, before) and it.property("ActiveState") == "active", 20)
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 50, 10)
            self.assertEqual(load.report.json["failures"].get("refused", 0), 0, load.report)
            self.assertLessEqual(load.report.failed, 40, load.report)

    def test_no_worker_of_the_old_one_is_left(self):
        with installed() as it:
            it.start()
            old = it.pids()
            outside = [it.machine.pid_outside(pid) for pid in old]
            it.kill()
            wait_until(lambda: it.property("NRestarts") == "1" and it.property("ActiveState") == "active", 20)
            wait_until(lambda: not any(proc.alive(pid) for pid in outside if pid), 10, "the old workers to be gone")
            self.assertEqual(len(it.pids()), 2)

    def test_five_crashes_in_a_row_lose_nothing(self):
        with installed() as it:
            it.start()
            for round in range(5):
                it.kill()
                wait_until(
                    lambda: it.property("NRestarts") == str(round + 1) and it.property("ActiveState") == "active", 20,
                    lambda: it.journal()[-3000:])  # fmt: skip
            self.assertEqual(it.ask().status, 200)

    def test_a_crash_in_the_middle_of_a_handover_serves_the_old_or_the_new_never_a_bad_one(self):
        with installed() as it:
            it.start()
            it.bad("answers-500", start_timeout="60s")
            it.engines["web"]["command"] += ["--start-delay", "1000"]
            it.write()
            reload = it.machine.start("systemctl", "reload", it.unit, stderr=-3)
            wait_until(lambda: it.counts("bad")["starts"], 10, "the next generation")
            it.kill()
            reload.wait(60)
            holds_for(lambda: it.counts("bad")["clients"] == 0, 1.0, "no client met the bad version")


@within(120)
class SupervisorWatchdog(unittest.TestCase):
    def test_a_supervisor_that_hangs_is_killed_and_comes_back(self):
        with installed() as it:
            it.drop_in("[Service]\nWatchdogSec=2\n")
            it.start()
            before = it.pid()
            it.kill(signal.SIGSTOP)
            wait_until(lambda: it.pid() not in (0, before) and it.property("ActiveState") == "active", 30)
            self.assertIn("watchdog", it.journal().lower())
            wait_until(lambda: it.ask(), 10, "an answer")

    def test_a_supervisor_that_works_feeds_it(self):
        with installed() as it:
            it.drop_in("[Service]\nWatchdogSec=1\n")
            it.start()
            before = it.pid()
            holds_for(lambda: it.pid() == before, 3, "the same supervisor")


@within(120)
class Settled(unittest.TestCase):
    def test_the_state_of_the_unit_survives_daemon_reload_and_reexec(self):
        with installed() as it:
            it.start()
            before = it.pid()
            it.machine.run("systemctl", "daemon-reload")
            it.machine.run("systemctl", "daemon-reexec")
            self.assertEqual(it.pid(), before)
            it.systemctl("reload")
            self.assertEqual(it.status()["serving"], 2)

    def test_reload_or_restart_try_restart_and_kill(self):
        with installed() as it:
            it.start()
            it.systemctl("reload-or-restart")
            self.assertEqual(it.status()["serving"], 2)
            it.systemctl("try-restart")
            self.assertEqual(it.ask().status, 200)
            it.systemctl("kill", "--signal=TERM")
            wait_until(lambda: it.property("ActiveState") in ("inactive", "active") and it.property("Result") == "success", 20)
            self.assertTrue(json.loads(it.baton("status", "demo", "--json", check=False).stdout or "{}") is not None)
