"""A generation that is no good is refused: no client meets it, the old one serves on, and the verdict says why."""

import random
import unittest

from kit import fixtures, http, varlink
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import wait_until


@within(120)
class Refused(unittest.TestCase):
    def refuse(self, change, says=(), exit_code=1):
        """Reloads to a bad version under load; returns (verdict, what the bad version itself counted)."""
        with running() as supervisor, Load(supervisor.of.port, 400, resets=True) as load:
            wait_until(lambda: http.ask(supervisor.of.port).generation == 1)
            pids = supervisor.pids()
            change(supervisor.of)
            verdict = supervisor.refused()
            load.stop()
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertNotIn("bad", load.report.versions)
            counted = fixtures.counts(supervisor.of.bad_counts)
            self.assertEqual((counted["clients"], counted["health"], counted["datagrams"]), (0, 0, 0), counted)
            self.assertEqual(supervisor.pids(), pids)
            self.assertEqual(verdict["exitCode"], exit_code, verdict)
            for text in says:
                self.assertIn(text, " ".join([verdict["what"], *verdict["lastLines"]]))
            self.assertIn("1", verdict["holds"])
            last = supervisor.status()["lastHandover"]
            self.assertEqual((last["outcome"], last["operation"]), (verdict["outcome"], verdict["operation"]))
            self.assertEqual(supervisor.status()["state"], "serving")
            # And the next good one is taken.
            supervisor.of.engines["web"] = supervisor.of.web("--version-text", "good")
            self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(http.ask(supervisor.of.port).release, "good")
            return verdict, counted

    def test_exits_at_start(self):
        verdict, _ = self.refuse(lambda made: made.bad("exits-at-start=9"), says=["9"])
        self.assertIn("web", verdict["what"])

    def test_is_never_ready(self):
        verdict, counted = self.refuse(lambda made: made.bad("never-ready", start_timeout="1s"), says=["1s"])
        self.assertGreaterEqual(counted["starts"], 1)

    def test_answers_500(self):
        _, counted = self.refuse(lambda made: made.bad("answers-500"), says=["500"])
        self.assertGreaterEqual(counted["probes"], 1)

    def test_answers_the_wrong_body(self):
        def wrong(made):
            made.bad("wrong-body")
            made.engines["web"]["prove"] = {"socket": "http", "path": "/health", "body": "ok"}

        _, counted = self.refuse(wrong)
        self.assertGreaterEqual(counted["probes"], 1)

    def test_accepts_and_never_answers(self):
        self.refuse(lambda made: made.bad("hangs-accept"))

    def test_crashes_right_after_ready(self):
        self.refuse(lambda made: made.bad("crash-loop"), says=["SEGV"])

    def test_closes_the_listener_it_was_given(self):
        self.refuse(lambda made: made.bad("closes-listener"))

    def test_good_ones_and_some_that_close_their_listener_in_any_order(self):
        # The kernel moves the last listener into the gap: that must never be the one that serves clients.
        dice = random.Random(5)
        with running() as supervisor, Load(supervisor.of.port, 1500, "--mode", "new", resets=True) as load:
            for _ in range(240):
                if dice.random() < 0.5:
                    supervisor.of.engines["web"] = supervisor.of.web(workers=dice.randint(1, 5))
                    supervisor.let_drain()
                    supervisor.reload()
                else:
                    supervisor.of.bad(dice.choice(("closes-listener", "exits-at-start")))
                    supervisor.refused()
            load.stop()
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(fixtures.counts(supervisor.of.bad_counts)["clients"], 0)

    def test_a_straggler_that_shuts_its_listener_down_does_not_refuse_the_next_one(self):
        with running() as supervisor, Load(supervisor.of.port, 300, resets=True) as load:
            # Refused for its answers, deaf to SIGTERM, and 400 ms later it moves the listeners behind its own.
            supervisor.of.bad("answers-500", "--misbehave", "ignores-term", "--misbehave", "closes-listener=400")
            self.assertIn("500", supervisor.refused()["what"])
            slow = {"socket": "http", "path": "/slow?ms=700", "timeout": "2s"}
            supervisor.of.engines["web"] = supervisor.of.web(prove=slow)
            self.assertEqual(supervisor.reload()["outcome"], "done")
            load.stop()
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertIn("called shutdown(2)", supervisor.log())

    def test_one_bad_worker_of_an_engine_behind_others(self):
        def second_engine(made):
            made.engines["jobs"] = made.idle("--misbehave", "exits-at-start=7", after=["web"])
            made.engines["web"] = made.web("--version-text", "bad", "--count-file", made.bad_counts)

        def undo_after(made):
            second_engine(made)

        with running() as supervisor, Load(supervisor.of.port, 300, resets=True) as load:
            undo_after(supervisor.of)
            verdict = supervisor.refused()
            load.stop()
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(fixtures.counts(supervisor.of.bad_counts)["clients"], 0)
            self.assertIn("jobs", verdict["what"])

    def test_cannot_be_executed(self):
        def not_a_program(made):
            text = made.app / "text"
            text.write_text("\x7fELF no program\n")
            text.chmod(0o755)
            made.engines["web"]["command"] = [str(text)]

        self.refuse(not_a_program, says=["exec"])

    def test_its_program_is_missing(self):
        def missing(made):
            made.engines["web"]["command"] = ["./nothing-here"]

        self.refuse(missing, says=["nothing-here"], exit_code=78)

    def test_the_last_lines_of_the_failed_worker_are_in_the_verdict(self):
        verdict, _ = self.refuse(lambda made: made.bad("exits-at-start=9"))
        self.assertTrue(verdict["lastLines"], verdict)

    def test_a_port_that_is_taken_by_another_program(self):
        with running() as supervisor:
            with http.socket.create_server(("127.0.0.1", 0)) as taken:
                port = taken.getsockname()[1]
                supervisor.of.sockets["admin"] = {"listen": f"127.0.0.1:{port}"}
                supervisor.of.engines["web"]["sockets"] = ["http", "admin"]
                verdict = supervisor.refused()
                self.assertIn(str(port), verdict["what"] + verdict["next"])
            self.assertEqual(http.ask(supervisor.of.port).generation, 1)


class Trial(unittest.TestCase):
    def test_a_share_of_clients_meets_the_new_generation_and_then_all(self):
        with running(lambda made: made.handover.update(trial={"share": "30%", "for": "2s"})) as supervisor:
            supervisor.of.engines["web"] = supervisor.of.web("--version-text", "new")
            supervisor.of.write()
            with varlink.Connection(supervisor.control, 30) as connection:
                connection.send("Reload", wait=True)
                supervisor.wait_status(
                    lambda status: (status.get("handover") or {}).get("phase") == "trial", what="the trial")
                met = [answer.release for answer in http.asks(supervisor.of.port, 200)]
                self.assertEqual(connection.answer()["verdict"]["outcome"], "done")
            self.assertGreater(met.count("new"), 20)
            self.assertLess(met.count("new"), 110)
            self.assertEqual(http.ask(supervisor.of.port).release, "new")

    def test_a_generation_that_dies_in_its_trial_is_taken_back(self):
        with running(lambda made: made.handover.update(trial={"share": "20%", "for": "10s"})) as supervisor:
            supervisor.of.bad("dies-in-trial=5")
            with Load(supervisor.of.port, 200, "--mode", "new", resets=True) as load:
                verdict = supervisor.refused()
                load.mark("after")
                wait_until(lambda: http.ask(supervisor.of.port).generation == 1)
            self.assertIn("5", verdict["what"])
            self.assertEqual(load.report.phase("after")["failed"], 0, load.report)
            self.assertEqual(supervisor.status()["serving"], 1)
