"""Shutdown: in order, inside its budget, always; what was cut is named."""

import signal
import unittest

from kit import fixtures, http, proc
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import wait_until


def stages(made):
    """An engine of each stage, and two of the first that depend on one another."""
    made.engines["jobs"] = made.idle()
    made.engines["web"]["after"] = ["jobs"]
    made.engines["store"] = made.idle(stage="database")
    made.engines["cache"] = made.idle(stage="redis")


def ends(supervisor, engine):
    """(first TERM, last end) of an engine's workers."""
    found = [s for s in fixtures.stamps(supervisor.of.stamps) if s.worker.startswith(engine + ".")]
    return (
        min(s.seconds for s in found if s.event == "term"), max(s.seconds for s in found if s.event == "exit"))  # fmt: skip


class Order(unittest.TestCase):
    def test_stages_follow_one_another_and_after_is_reversed(self):
        with running(stages) as supervisor:
            status, _ = supervisor.stop()
            self.assertEqual(status, 0)
            web, jobs, store, cache = (ends(supervisor, name) for name in ("web", "jobs", "store", "cache"))
            self.assertGreaterEqual(jobs[0], web[1])
            self.assertGreaterEqual(store[0], jobs[1])
            self.assertGreaterEqual(cache[0], store[1])

    def test_commands_of_a_stage_run_when_its_engines_are_gone(self):
        def with_command(made):
            stages(made)
            flush = [made.engines["web"]["command"][0], "--stamp-file", str(made.stamps), "--misbehave", "exits-at-start=0"]
            made.shutdown = {"database": {"run": [flush]}}

        with running(with_command) as supervisor:
            supervisor.stop()
            command = [s for s in fixtures.stamps(supervisor.of.stamps, "exec") if s.worker == "-"]
            self.assertEqual(len(command), 1, "the command ran once")
            self.assertGreaterEqual(command[0].seconds, ends(supervisor, "store")[1])
            self.assertLessEqual(command[0].seconds, ends(supervisor, "cache")[0])

    def test_requests_under_way_are_answered(self):
        with running() as supervisor:
            clients = [http.Client(supervisor.of.port) for _ in range(20)]
            for client in clients:
                client.send("/slow?ms=1000", keep=False)
            wait_until(lambda: supervisor.of.counts()["clients"] >= 20, 5, "the requests to arrive")
            supervisor.signal(signal.SIGTERM)
            self.assertEqual([client.receive().status for client in clients], [200] * 20)
            self.assertEqual(supervisor.wait(), 0)

    def test_no_answer_is_cut_under_load(self):
        with running() as supervisor:
            load = Load(supervisor.of.port, 500, "--mode", "new")
            with load:
                wait_until(lambda: supervisor.of.counts()["clients"] > 50, 5, "the load")
                supervisor.stop()
            counts = supervisor.of.counts()
        # Connections that come after the stop are refused, one in the queue at that very instant is reset: the kernel
        # knows no other end of a listener. Whatever a worker took was answered whole.
        wrong = {name: n for name, n in load.report.json["failures"].items() if n and name not in ("refused", "reset")}
        self.assertEqual(wrong, {}, load.report)
        self.assertEqual(counts["connections"] - counts["probes"], load.report.ok, (counts, str(load.report)))
        self.assertLess(load.report.json["failures"].get("reset", 0), 5, load.report)


class Budget(unittest.TestCase):
    def stubborn(self, made):
        stages(made)
        for name in ("web", "jobs", "store", "cache"):
            made.engines[name]["command"] += ["--misbehave", "ignores-term"]
            made.engines[name]["stop-timeout"] = "20s"
        made.shutdown = {"timeout": "6s", "intake": "500ms", "engines": "3s", "database": "1s", "redis": "1s"}

    @within(60)
    def test_programs_that_ignore_term_are_gone_when_it_ends_and_named(self):
        with running(self.stubborn) as supervisor:
            workers = proc.children(supervisor.pid)
            status, seconds = supervisor.stop()
            self.assertEqual(status, 0)
            self.assertLess(seconds, 7)
            self.assertEqual([pid for pid in workers if proc.alive(pid)], [])
            for name in ("web.1", "web.2", "jobs.1", "store.1", "cache.1"):
                self.assertIn(name, supervisor.log())

    @within(60)
    def test_a_second_term_changes_nothing(self):
        def slow(made):
            made.engines["web"]["stop-timeout"] = "10s"

        with running(slow) as supervisor:
            with http.Client(supervisor.of.port) as client:
                client.send("/slow?ms=2000", keep=False)
                wait_until(lambda: supervisor.of.counts()["clients"] >= 1, 5, "the request to arrive")
                for _ in range(5):
                    supervisor.signal(signal.SIGTERM)
                self.assertEqual(client.receive().status, 200)
            self.assertEqual(supervisor.wait(), 0)

    @within(60)
    def test_stop_now_cuts(self):
        with running(self.stubborn) as supervisor:
            supervisor.call("Stop", now=True, wait=False)
            self.assertEqual(supervisor.wait(5), 0)

    @within(60)
    def test_time_a_stage_does_not_use_goes_to_the_next(self):
        def only_last_is_slow(made):
            made.engines["cache"] = made.idle("--misbehave", "ignores-term", stage="redis", stop_timeout="20s")
            made.shutdown = {"timeout": "3s", "intake": "500ms", "engines": "1s", "database": "500ms", "redis": "3s"}

        with running(only_last_is_slow) as supervisor:
            status, seconds = supervisor.stop()
            self.assertEqual(status, 0)
            self.assertGreater(seconds, 1.5)
            self.assertLess(seconds, 4)


class Commands(unittest.TestCase):
    def test_pending_is_asked_and_save_is_run_before_the_kill(self):
        def draining(made):
            made.engines["jobs"] = made.idle(
                "--misbehave", "ignores-term", stop_timeout="1s",
                drain={"pending": ["false"], "save": ["touch", str(made.folder / "saved")]})

        with running(draining) as supervisor:
            saved = supervisor.of.folder / "saved"
            status, _ = supervisor.stop()
            self.assertEqual(status, 0)
            self.assertTrue(saved.exists())
