"""Activation of a deploy where batond runs the service: checked before any client meets it, undone from any instant."""

import os
import pathlib
import signal
import socket
import subprocess
import threading
import unittest

from kit import proc, programs
from kit.activations import Run, Steering, current, releases, run
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import wait_until


class Steered(Steering):
    @within(60)
    def test_a_good_release_takes_over_and_no_request_fails(self):
        # Only the new one can answer so: it is asked before any client meets it, and the old one is not.
        with running(releases({"contains": "r2"})) as supervisor:
            with Load(supervisor.of.port, 800, "--mode", "new") as load:
                status, said = run(supervisor, "activate", "check")
                self.assertEqual(status, 0, said)
                asked = supervisor.of.counts()["clients"]
                wait_until(lambda: supervisor.of.counts()["clients"] > asked + 200, 10, "clients afterwards")
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertIn("before any client: health check passed, 2 of 2 rounds", said)
            self.holds(supervisor, "r2")
            # Everything it did, and in this order: nothing moves before the commit, and the link is there before it.
            did = [line.split(" ", 2)[1] for line in said.splitlines() if line.startswith("effect: ")]
            self.assertEqual(
                did, ["symlink", "sync", "control", "request", "request", "control", "rename", "sync", "request"])

    @within(60)
    def test_what_fails_its_health_check_meets_no_client(self):
        with running(releases({"contains": "something else"})) as supervisor:
            with Load(supervisor.of.port, 800, "--mode", "new") as load:
                status, said = run(supervisor, "activate")
                self.assertEqual(status, 1)
                self.assertIn("does not contain \"something else\"", said)
                self.assertIn("> body: ", said)
                self.assertEqual(run(supervisor, "undo")[0], 0)
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(set(load.report.versions), {"r1"})
            self.holds(supervisor, "r1")

    @within(60)
    def test_a_release_that_does_not_start_is_refused_with_its_last_words(self):
        with running(releases()) as supervisor:
            supervisor.of.bad("exits-at-start")
            supervisor.of.write()
            status, said = run(supervisor, "activate")
            self.assertEqual(status, 1)
            self.assertIn("FAILED failed: reload refused: web.", said)
            self.assertEqual(run(supervisor, "undo")[0], 0)
            self.holds(supervisor, "r1")

    def test_a_release_that_is_not_there(self):
        with running(releases()) as supervisor:
            status, said = run(supervisor, "activate", release="r9")
            self.assertEqual(status, 1)
            self.assertIn("r9: ENOENT", said)
            self.holds(supervisor, "r1")

    @within(60)
    def test_who_asks_for_an_end_while_it_is_held_gets_it(self):
        with running(releases({"contains": "never", "deadline": "30s"})) as supervisor:
            started = Run(supervisor, "activate")
            supervisor.wait_status(lambda s: s.get("handover", {}).get("phase") == "holding", what="a hold")
            started.process.send_signal(signal.SIGTERM)
            self.assertEqual(started.end(10), 1)
            self.assertIn("FAILED aborted", started.output)
            self.assertEqual(run(supervisor, "undo")[0], 0)
            self.holds(supervisor, "r1")

    @within(60)
    def test_who_asks_for_an_end_in_a_trial_gets_it(self):
        with running(releases(trial={"share": "50%", "for": "30s"})) as supervisor:
            with Load(supervisor.of.port, 400, "--mode", "new") as load:
                started = Run(supervisor, "activate")
                supervisor.wait_status(lambda s: s.get("handover", {}).get("phase") == "trial", what="a trial")
                self.assertEqual(current(supervisor), "releases/r1")
                started.process.send_signal(signal.SIGTERM)
                self.assertEqual(started.end(20), 1)
                self.assertIn("FAILED aborted", started.output)
                self.assertEqual(run(supervisor, "undo", "--exposed")[0], 0)
                self.holds(supervisor, "r1")
            self.assertEqual(load.report.failed, 0, load.report)

    @within(60)
    def test_killed_in_a_trial_it_is_called_off_by_the_undo(self):
        with running(releases(trial={"share": "50%", "for": "30s"})) as supervisor:
            started = Run(supervisor, "activate")
            supervisor.wait_status(lambda s: s.get("handover", {}).get("phase") == "trial", what="a trial")
            started.process.kill()
            started.end()
            self.assertEqual(run(supervisor, "undo", "--exposed")[0], 0)
            self.holds(supervisor, "r1")

    @within(60)
    def test_a_candidate_that_dies_while_it_is_checked_ends_the_check_at_once(self):
        with running(releases({"contains": "never", "deadline": "30s"})) as supervisor:
            started = Run(supervisor, "activate")
            supervisor.wait_status(lambda s: s.get("handover", {}).get("phase") == "holding", what="a hold")
            victim = next(w["pid"] for w in supervisor.workers() if w["generation"] == 2)
            os.kill(victim, signal.SIGKILL)
            self.assertEqual(started.end(10), 1)
            self.assertIn("SIGKILL", started.output)

    @within(60)
    def test_a_supervisor_that_is_killed_while_it_is_checked(self):
        with running(releases({"contains": "never", "deadline": "30s"})) as supervisor:
            started = Run(supervisor, "activate")
            supervisor.wait_status(lambda s: s.get("handover", {}).get("phase") == "holding", what="a hold")
            left = proc.descendants(supervisor.pid)
            supervisor.signal(signal.SIGKILL)
            supervisor.wait()
            for pid in left:
                proc.kill(pid)
            self.assertEqual(started.end(10), 1)
            self.assertEqual(current(supervisor), "releases/r1")
            supervisor.start()
            supervisor.wait_serving()
            self.assertEqual(run(supervisor, "undo")[0], 0)
            self.holds(supervisor, "r1")

    def test_what_happens_at_boot_touches_only_the_disk(self):
        with running(releases()) as supervisor:
            os.remove(supervisor.of.app / "current")
            os.symlink("releases/r2", supervisor.of.app / "current")
            status, said = run(supervisor, "undo", "--exposed", "--boot")
            self.assertEqual(status, 0, said)
            self.assertEqual(current(supervisor), "releases/r1")
            self.assertNotIn("control", said)

    def test_a_plan_does_nothing_and_says_all(self):
        with running(releases()) as supervisor:
            status, said = run(supervisor, "activate", "check", "--plan")
            self.assertEqual(status, 0, said)
            did = [line.split(" ", 2)[1] for line in said.splitlines() if line.startswith("effect: ")]
            self.assertEqual(did, ["symlink", "sync", "control", "request", "control", "rename", "sync", "request"])
            self.holds(supervisor, "r1")
            self.assertEqual(supervisor.status()["serving"], 1)


class Asked(unittest.TestCase):
    """Health checks that go wrong in their own ways: a clear reason, and the old one serves."""

    def refused(self, answer, reason, **health):
        """A server beside the service answers each connection with `answer`."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(64)
            taken = []

            def serve():
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    taken.append(connection)
                    if answer:
                        connection.recv(65536)
                        connection.sendall(answer.encode())
                        connection.close()

            threading.Thread(target=serve, daemon=True).start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            with running(releases({"url": url, "deadline": "1s", "timeout": "400ms", **health})) as supervisor:
                status, said = run(supervisor, "activate", "check")
                self.assertEqual(status, 1, said)
                self.assertIn(reason, said)
                self.assertEqual(run(supervisor, "undo", "--exposed")[0], 0)
                self.assertEqual(supervisor.status()["release"], "r1")
                self.assertEqual(current(supervisor), "releases/r1")
            listener.shutdown(socket.SHUT_RDWR)

    def test_a_hang(self):
        self.refused("", "no answer within")

    def test_the_wrong_body(self):
        self.refused(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", "does not contain", contains="ready")

    def test_a_redirect_without_end(self):
        self.refused(
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "it redirects to")

    def test_an_error(self):
        self.refused(
            "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "500 in ")


class Bake(unittest.TestCase):
    @within(60)
    def test_a_release_that_stays_well_passes(self):
        with running(releases(**{"for": "500ms", "interval": "100ms", "breaches": 2})) as supervisor:
            status, said = run(supervisor, "activate", "check", "bake")
            self.assertEqual(status, 0, said)
            self.assertIn("looks, all is well", said)

    @within(60)
    def test_restarts_under_clients_are_a_breach(self):
        with running(releases(**{"for": "20s", "interval": "100ms", "max_restarts": 0, "breaches": 2})) as supervisor:
            started = Run(supervisor, "activate", "check", "bake")
            supervisor.wait_status(lambda s: s["release"] == "r2" and "handover" not in s, what="the new release")
            os.kill(supervisor.pids()[0], signal.SIGKILL)
            self.assertEqual(started.end(), 1)
            self.assertIn("restarts since activation, limit 0", started.output)

    @within(60)
    def test_another_release_than_the_new_one_is_a_breach(self):
        with running(releases(**{"for": "20s", "interval": "100ms", "breaches": 2})) as supervisor:
            started = Run(supervisor, "activate", "check", "bake")
            supervisor.wait_status(lambda s: s["release"] == "r2" and "handover" not in s, what="the new release")
            wait_until(lambda: current(supervisor) == "releases/r2", 10, "the pointer")
            supervisor.call("Reload", 60, release="r1")
            self.assertEqual(started.end(), 1)
            self.assertIn("r1", started.output)


class Command(unittest.TestCase):
    def test_probe_says_what_came(self):
        with running(releases()) as supervisor:
            url = f"http://127.0.0.1:{supervisor.of.port}"
            for arguments, status, said in (
                (["/health"], 0, "200 in "), (["/health", "--contains", "nothing"], 1, "does not contain"),
                (["/health", "--status", "204"], 1, "expected 204"), (["/health", "--header", "x"], 64, "no header"),
                (["/health", "--member", "a=b"], 1, "not JSON"),
            ):  # fmt: skip
                with self.subTest(arguments):
                    done = subprocess.run(
                        [programs.path("baton"), "probe", url + arguments[0], *arguments[1:]], capture_output=True,
                        text=True, timeout=30,
                    )  # fmt: skip
                    self.assertEqual(done.returncode, status, done.stderr)
                    self.assertIn(said, done.stdout + done.stderr)

    def test_libcurl_is_loaded_only_to_ask(self):
        for name in ("baton", "batond"):
            linked = subprocess.run(["ldd", programs.path(name)], capture_output=True, text=True).stdout
            self.assertNotIn("libcurl", linked)
        maps = pathlib.Path("/proc")
        with running(releases()) as supervisor:
            self.assertNotIn("libcurl", (maps / str(supervisor.pid) / "maps").read_text())
