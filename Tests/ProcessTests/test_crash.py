"""Workers that die or hang are replaced, at once or later; the others and the clients do not notice more than they must."""

import os
import signal
import time
import unittest

from kit import fixtures, http, proc
from kit.load import Load
from kit.runner import alone, within
from kit.supervisor import running
from kit.waiting import holds_for, wait_until


class Replacement(unittest.TestCase):
    def test_a_killed_worker_is_replaced_and_the_others_go_on(self):
        with running(lambda made: made.engines["web"].update(workers=3)) as supervisor:
            victim, *others = supervisor.pids()
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: len(set(supervisor.pids()) - {victim}) == 3, 10, "the replacement")
            self.assertLessEqual(set(others), set(supervisor.pids()))
            self.assertEqual([w["restarts"] for w in supervisor.workers()].count(1), 1)
            self.assertIn("KILL", " ".join(w.get("lastExit") or "" for w in supervisor.workers()))

    def test_the_queue_is_kept_while_the_only_worker_is_replaced(self):
        with running(lambda made: made.engines["web"].update(workers=1)) as supervisor:
            with Load(supervisor.of.port, 100, "--mode", "new") as load:
                for _ in range(5):
                    victim = wait_until(supervisor.pids, 20, "a worker")[0]
                    os.kill(victim, signal.SIGKILL)
                    wait_until(lambda: supervisor.pids() not in ([], [victim]), 20, "the replacement")
            failures = {name for name, count in load.report.json["failures"].items() if count}
            # What the worker was answering is cut; nobody is refused.
            self.assertNotIn("refused", failures)
            self.assertLessEqual(load.report.failed, 10, load.report)

    @alone
    def test_the_first_replacement_is_immediate(self):
        with running(lambda made: made.engines["web"].update(workers=1)) as supervisor:
            victim = supervisor.pids()[0]
            began = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            second = wait_until(
                lambda: next((s for s in fixtures.stamps(supervisor.of.stamps, "exec") if s.pid != victim), None), 5)
            self.assertLess(second.seconds - began, 0.1)

    def test_a_crash_restart_runs_the_committed_settings_whatever_lies_on_disk(self):
        with running(lambda made: made.environment.update(COLOUR="blue")) as supervisor:
            supervisor.of.environment = {"COLOUR": "red"}
            supervisor.of.bad("exits-at-start")
            supervisor.of.write()
            for victim in supervisor.pids():
                os.kill(victim, signal.SIGKILL)
                wait_until(lambda: victim not in supervisor.pids() and len(supervisor.pids()) == 2, 10, "it to be back")
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")
            self.assertEqual(fixtures.counts(supervisor.of.bad_counts)["starts"], 0)

    def test_a_crash_restart_runs_the_committed_release_after_current_moved_on(self):
        def releases(made):
            folder = made.app / "releases/r1"
            folder.mkdir(parents=True)
            (folder / "main").symlink_to(made.web()["command"][0])
            (made.app / "current").symlink_to("releases/r1")
            made.engines["web"]["command"] = ["./main"]

        with running(releases) as supervisor:
            (supervisor.of.app / "current").unlink()
            (supervisor.of.app / "current").symlink_to("releases/half-made")
            victim = supervisor.pids()[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in supervisor.pids() and len(supervisor.pids()) == 2, 10, "it to be back")
            self.assertEqual({answer.release for answer in http.asks(supervisor.of.port, 20)}, {"r1"})


class Leftovers(unittest.TestCase):
    """batond dies where nobody clears up after it: the next one does, before it starts anything."""

    def test_workers_of_a_dead_supervisor_are_gone_before_an_exclusive_engine_starts(self):
        def exclusive(made):
            made.engines["robots"] = made.idle(handover="exclusive")

        with running(exclusive) as supervisor:
            old = supervisor.pids("robots") + supervisor.pids()
            self.assertEqual(len(old), 3)
            # They hear of nothing, and a SIGTERM would wait for ever.
            os.kill(old[0], signal.SIGSTOP)
            supervisor.signal(signal.SIGKILL)
            supervisor.wait()
            self.assertTrue(all(proc.alive(pid) for pid in old))
            supervisor.start()
            supervisor.wait_serving()
            self.assertFalse([pid for pid in old if proc.alive(pid)])
            self.assertIn(f"{old[0]} fixture-service", supervisor.log())
            kinds = [event["kind"] for event in supervisor.call("Events")["events"]]
            self.assertEqual(kinds[kinds.index("leftovers-ended"):].count("worker-started"), 3)


class GivingUp(unittest.TestCase):
    def test_an_engine_that_keeps_crashing_is_failed_and_the_rest_goes_on(self):
        def with_crasher(made):
            restart = {"delay": "10ms", "max-delay": "50ms", "give-up-after": 4}
            made.engines["jobs"] = made.idle("--misbehave", "dies-after-ready=50", restart=restart)

        with running(with_crasher) as supervisor:
            status = supervisor.wait_status(
                lambda status: next(e for e in status["engines"] if e["name"] == "jobs")["state"] == "failed", 20,
                "jobs to be failed")  # fmt: skip
            self.assertEqual(status["state"], "degraded")
            self.assertEqual(http.ask(supervisor.of.port).status, 200)
            starts = [s for s in fixtures.stamps(supervisor.of.stamps, "exec") if s.worker.startswith("jobs")]
            self.assertLessEqual(len(starts), 6)

    def test_a_reload_to_a_good_version_repairs_a_failed_engine(self):
        def with_crasher(made):
            made.engines["jobs"] = made.idle(
                "--misbehave", "dies-after-ready=50", restart={"delay": "10ms", "give-up-after": 2})

        with running(with_crasher) as supervisor:
            supervisor.wait_status(lambda status: status["state"] == "degraded", 20, "jobs to be failed")
            supervisor.of.engines["jobs"] = supervisor.of.idle()
            self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(supervisor.status()["state"], "serving")

    def test_the_delay_between_restarts_grows(self):
        def with_crasher(made):
            restart = {"delay": "100ms", "max-delay": "10s", "give-up-after": 100}
            made.engines["jobs"] = made.idle("--misbehave", "dies-after-ready=1", restart=restart)

        with running(with_crasher) as supervisor:

            def execs():
                return [s.seconds for s in fixtures.stamps(supervisor.of.stamps, "exec") if s.worker.startswith("jobs")]

            wait_until(lambda: len(execs()) >= 6, 30, "six starts")
            gaps = [later - earlier for earlier, later in zip(execs(), execs()[1:])]
            self.assertLess(gaps[0], 0.15)
            self.assertGreater(gaps[4], 4 * 0.1)
            self.assertGreater(gaps[4], gaps[1])

    def test_an_exit_with_status_zero_is_an_unwanted_end_as_well(self):
        with running(lambda made: made.engines.update(jobs=made.idle("--misbehave", "exits-zero=50"))) as supervisor:
            wait_until(
                lambda: len([s for s in fixtures.stamps(supervisor.of.stamps, "exec") if s.worker == "jobs.1"]) >= 2, 10)


class Watchdog(unittest.TestCase):
    def hung(self, *options, **keys):
        """Stamps of the first two starts of an engine that hangs; the first one's process is gone."""
        with running(lambda made: made.engines.update(hung=made.idle(*options, **keys))) as supervisor:

            def two_starts():
                found = [s for s in fixtures.stamps(supervisor.of.stamps, "exec") if s.worker == "hung.1"]
                return found if len(found) >= 2 else None

            first, second = wait_until(two_starts, 15, "the hung worker to be replaced")[:2]
            wait_until(lambda: not proc.alive(first.pid), 10, "the hung worker to be gone")
            self.assertEqual(http.ask(supervisor.of.port).status, 200)
            self.assertIn("hung.1 hangs", supervisor.log())
            return first, second

    def test_a_worker_that_sends_nothing_is_replaced(self):
        first, second = self.hung("--misbehave", "no-watchdog", watchdog="500ms")
        self.assertGreaterEqual(second.seconds - first.seconds, 0.4)

    def test_a_worker_that_stopped_itself_is_replaced(self):
        self.hung("--misbehave", "stops-itself=100", watchdog="500ms")

    def test_a_worker_that_feeds_it_is_left_alone(self):
        with running(lambda made: made.engines["web"].update(watchdog="300ms")) as supervisor:
            pids = supervisor.pids()
            holds_for(lambda: supervisor.pids() == pids, 1.5, "the same workers")

    def test_a_worker_that_does_not_answer_http_is_replaced(self):
        def watched(made):
            made.engines["web"] = made.web(
                "--listen", "127.0.0.1:{port}", "--misbehave", "stops-itself=500", sockets=[], prove=None, workers=1,
                ready={"tcp": "127.0.0.1:{port}"},
                watchdog={"http": "http://127.0.0.1:{port}/health", "interval": "200ms", "timeout": "200ms", "failures": 2},
            )  # fmt: skip
            made.sockets = {}

        with running(watched) as supervisor:
            wait_until(lambda: len(fixtures.stamps(supervisor.of.stamps, "exec")) >= 2, 20, "a replacement")


class EventLoopWorkers(unittest.TestCase):
    @within(90)
    def test_one_of_four_is_killed_under_load_and_nobody_hangs(self):
        """Workers with an epoll loop on the shared listener: its O_NONBLOCK must not change under them."""

        def event_loops(made):
            made.sockets["http"]["nonblocking"] = True
            made.engines["web"] = made.web("--accept", "epoll-nonblocking", workers=4)

        with running(event_loops) as supervisor:
            with Load(supervisor.of.port, 500, "--mode", "new", "--timeout", "5") as load:
                for _ in range(4):
                    victim = supervisor.pids()[0]
                    os.kill(victim, signal.SIGKILL)
                    wait_until(lambda: victim not in supervisor.pids() and len(supervisor.pids()) == 4, 10)
            failures = {name: count for name, count in load.report.json["failures"].items() if count}
            self.assertNotIn("timeout", failures)
            self.assertNotIn("refused", failures)
            self.assertLessEqual(load.report.failed, 40, load.report)
