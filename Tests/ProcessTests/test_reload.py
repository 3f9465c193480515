"""Reload: the next generation takes over and no client notices; settings are truly read again."""

import os
import threading
import unittest

from kit import fixtures, http, proc, varlink
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import wait_until


class Handover(unittest.TestCase):
    @within(120)
    def test_no_request_fails_in_ten_reloads(self):
        with running(lambda made: made.engines["web"].update(workers=4)) as supervisor:
            with Load(supervisor.of.port, 800, "--connections", 16) as load:
                first = set(supervisor.pids())
                for round in range(10):
                    asked = supervisor.of.counts()["clients"]
                    wait_until(lambda: supervisor.of.counts()["clients"] > asked + 100, 10, "clients between reloads")
                    supervisor.of.engines["web"] = supervisor.of.web("--version-text", f"v{round}", workers=4)
                    verdict = supervisor.reload()
                    self.assertEqual((verdict["outcome"], verdict["generation"]), ("done", round + 2))
                    self.assertEqual(http.ask(supervisor.of.port).release, f"v{round}")
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertGreater(load.report.sent, 1000)
            wait_until(lambda: not any(map(proc.stat, first)), 20, "the first generation to be gone")

    def test_a_slow_request_of_the_old_generation_is_answered_after_the_handover(self):
        with running() as supervisor:
            with http.Client(supervisor.of.port) as client:
                client.send("/slow?ms=1500")
                wait_until(lambda: supervisor.of.counts()["clients"] >= 1, 5, "the request to arrive")
                supervisor.reload()
                self.assertEqual(http.ask(supervisor.of.port).generation, 2)
                self.assertEqual(client.receive().generation, 1)

    def test_new_connections_meet_only_the_new_generation_after_the_verdict(self):
        with running() as supervisor:
            supervisor.reload()
            self.assertEqual({answer.generation for answer in http.asks(supervisor.of.port, 50)}, {2})

    def test_clients_meet_only_the_old_generation_until_the_new_one_is_ready(self):
        with running() as supervisor:
            supervisor.of.engines["web"] = supervisor.of.web("--start-delay", 1000)
            met = []
            reload = threading.Thread(target=supervisor.reload)
            reload.start()
            while reload.is_alive():
                met.append(http.ask(supervisor.of.port))
            ready = min(s.seconds for s in fixtures.stamps(supervisor.of.stamps, "ready") if s.generation == "2")
            self.assertGreater(len(met), 50)
            self.assertEqual(met[0].generation, 1)
            self.assertGreater(ready, 0)
            generations = [answer.generation for answer in met]
            self.assertEqual(generations, sorted(generations))

    def test_reloads_that_arrive_meanwhile_become_one(self):
        with running() as supervisor:
            supervisor.of.engines["web"] = supervisor.of.web("--start-delay", 500)
            supervisor.of.write()
            calls = [varlink.Connection(supervisor.control, 60) for _ in range(6)]
            for connection in calls:
                connection.send("Reload", wait=True)
            verdicts = [connection.answer()["verdict"] for connection in calls]
            for connection in calls:
                connection.close()
            self.assertEqual({verdict["outcome"] for verdict in verdicts}, {"done"})
            # The one under way, and one for all that came meanwhile.
            self.assertLessEqual(supervisor.status()["serving"], 3)

    def test_a_stop_during_a_handover_wins(self):
        with running() as supervisor:
            supervisor.of.engines["web"] = supervisor.of.web("--misbehave", "never-ready", start_timeout="60s")
            supervisor.of.write()
            with varlink.Connection(supervisor.control, 30) as connection:
                connection.send("Reload", wait=True)
                wait_until(
                    lambda: any(s.generation == "2" for s in fixtures.stamps(supervisor.of.stamps)), 10, "generation 2")
                status, seconds = supervisor.stop()
            self.assertEqual(status, 0)
            self.assertLess(seconds, 10)


class Reread(unittest.TestCase):
    def environment(self, supervisor, name):
        return http.ask(supervisor.of.port, f"/env?{name}")

    def test_environment_is_added_changed_and_removed(self):
        with running(lambda made: made.environment.update(ONE="1", TWO="2")) as supervisor:
            self.assertEqual(self.environment(supervisor, "TWO").body, "2")
            supervisor.of.environment = {"ONE": "one", "THREE": "3"}
            supervisor.reload()
            self.assertEqual(self.environment(supervisor, "ONE").body, "one")
            self.assertEqual(self.environment(supervisor, "THREE").body, "3")
            self.assertEqual(self.environment(supervisor, "TWO").status, 404)

    def test_environment_files_are_read_again(self):
        def with_file(made):
            (made.app / "env").write_text("LEVEL=1\nGONE=soon\n")
            made.service["environment-files"] = ["env"]

        with running(with_file) as supervisor:
            self.assertEqual(self.environment(supervisor, "LEVEL").body, "1")
            (supervisor.of.app / "env").write_text("LEVEL=2\n")
            supervisor.reload()
            self.assertEqual(self.environment(supervisor, "LEVEL").body, "2")
            self.assertEqual(self.environment(supervisor, "GONE").status, 404)

    def test_a_socket_is_added_and_removed_and_the_other_is_not_touched(self):
        with running() as supervisor:
            other = http.free_port()
            with http.Client(supervisor.of.port) as kept, Load(supervisor.of.port, 300, resets=True) as load:
                kept.ask()
                supervisor.of.sockets["admin"] = {"listen": f"127.0.0.1:{other}"}
                supervisor.of.engines["web"]["sockets"] = ["http", "admin"]
                supervisor.reload()
                self.assertEqual(http.ask(other).generation, 2)
                del supervisor.of.sockets["admin"]
                supervisor.of.engines["web"]["sockets"] = ["http"]
                supervisor.reload()
                wait_until(lambda: http.refuses(other), 10, "the removed socket to refuse")
            self.assertEqual(load.report.failed, 0, load.report)

    def test_the_release_that_current_names_is_run(self):
        def releases(made):
            for name in ("r1", "r2"):
                folder = made.app / "releases" / name
                folder.mkdir(parents=True)
                (folder / "main").symlink_to(made.web()["command"][0])
            (made.app / "current").symlink_to("releases/r1")
            made.engines["web"] = made.web()
            made.engines["web"]["command"] = ["./main"]

        with running(releases) as supervisor:
            self.assertEqual(http.ask(supervisor.of.port).release, "r1")
            self.assertEqual(supervisor.status()["release"], "r1")
            _point(supervisor.of.app / "current", "releases/r2")
            self.assertEqual(supervisor.reload()["release"], "r2")
            self.assertEqual(http.ask(supervisor.of.port).release, "r2")


class Exclusive(unittest.TestCase):
    def test_never_two_generations_at_once_and_the_queue_waits(self):
        with running(lambda made: made.engines["web"].update(handover="exclusive", workers=1)) as supervisor:
            with Load(supervisor.of.port, 200, "--mode", "new") as load:
                for _ in range(3):
                    self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(load.report.failed, 0, load.report)
            stamps = fixtures.stamps(supervisor.of.stamps)
            for generation in (2, 3, 4):
                started = min(s.seconds for s in stamps if s.generation == str(generation) and s.event == "exec")
                ended = max(s.seconds for s in stamps if s.generation == str(generation - 1) and s.event == "exit")
                self.assertGreaterEqual(started, ended)

    def test_an_engine_that_must_be_alone_beside_one_that_overlaps(self):
        with running(lambda made: made.engines.update(jobs=made.idle(handover="exclusive"))) as supervisor:
            with Load(supervisor.of.port, 300) as load:
                self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(load.report.failed, 0, load.report)


class Scale(unittest.TestCase):
    def test_more_and_fewer_workers_without_a_failed_request(self):
        with running() as supervisor, Load(supervisor.of.port, 400) as load:
            before = set(supervisor.pids())
            supervisor.call("Scale", engine="web", workers=5, wait=True)
            self.assertEqual(len(supervisor.pids()), 5)
            self.assertLessEqual(before, set(supervisor.pids()))
            supervisor.call("Scale", engine="web", workers=1, wait=True)
            self.assertEqual(len(supervisor.pids()), 1)
            load.stop()
            self.assertEqual(load.report.failed, 0, load.report)

    def test_an_engine_that_is_not_there(self):
        with running() as supervisor:
            with self.assertRaises(varlink.VarlinkError) as caught:
                supervisor.call("Scale", engine="wep", workers=2, wait=True)
            self.assertEqual(caught.exception.name, "UnknownEngine")


def _point(link, target):
    new = link.with_name("current.new")
    new.symlink_to(target)
    os.replace(new, link)
