"""A new generation meets more of the clients from step to step, and none any more as soon as something is wrong."""

import re
import socket
import threading
import unittest

from kit import http
from kit.load import Load
from kit.runner import within
from kit.supervisor import running

STEPS = ["10%", "50%"]


def canary(**trial):
    def change(made):
        made.handover |= {"strategy": "canary", "trial": {"steps": STEPS, "for": "1s"} | trial}

    return change


def script(supervisor, text):
    """A check that writes down whom it is asked about."""
    path = supervisor.of.folder / "check"
    path.write_text(f"#!/bin/sh\necho $BATON_GENERATION $BATON_SERVING_GENERATION >> {asked(supervisor)}\n{text}\n")
    path.chmod(0o755)
    return [str(path)]


def asked(supervisor):
    return supervisor.of.folder / "asked"


def shares(supervisor):
    return re.findall(r"generation 2 meets (\S+) of", supervisor.log())


def offer(supervisor):
    supervisor.of.engines["web"] = supervisor.of.web("--version-text", "new")


@within(120)
class Canary(unittest.TestCase):
    def test_step_by_step_and_then_all(self):
        with running(canary()) as supervisor:
            offer(supervisor)
            with Load(supervisor.of.port, 400, "--mode", "new") as load:
                self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(shares(supervisor), STEPS)
            self.assertEqual({each.release for each in http.asks(supervisor.of.port, 50)}, {"new"})

    def test_the_check_is_asked_about_the_new_generation(self):
        with running(canary()) as supervisor:
            supervisor.of.handover["trial"]["check"] = script(supervisor, "exit 0")
            offer(supervisor)
            self.assertEqual(supervisor.reload()["outcome"], "done")
            lines = asked(supervisor).read_text().splitlines()
            self.assertEqual(set(lines), {"2 1"})
            self.assertGreaterEqual(len(lines), len(STEPS))

    def test_a_no_steers_all_back_and_no_request_fails(self):
        with running(canary()) as supervisor:
            # Good in the first step, bad in the second.
            good = f'[ "$(wc -l < {asked(supervisor)})" -lt 2 ]'
            supervisor.of.handover["trial"]["check"] = script(supervisor, good)
            offer(supervisor)
            with Load(supervisor.of.port, 400, "--mode", "new") as load:
                verdict = supervisor.refused()
                self.assertEqual({each.generation for each in http.asks(supervisor.of.port, 100)}, {1})
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertIn("the check of its trial said no: ", verdict["what"])
            self.assertIn("exit status 1", verdict["what"])
            self.assertIn("only the share of clients on trial", verdict["next"])
            self.assertEqual(shares(supervisor), STEPS)

    def test_a_check_that_hangs_is_a_no(self):
        with running(canary()) as supervisor:
            supervisor.of.handover["trial"] |= {
                "check": script(supervisor, "exec tail -f /dev/null"), "check-timeout": "300ms"}  # fmt: skip
            offer(supervisor)
            self.assertIn("300ms", supervisor.refused()["what"])

    def test_an_answer_over_http_decides_as_well(self):
        with socket.create_server(("127.0.0.1", 0)) as server, running(canary()) as supervisor:
            threading.Thread(target=self.say_no, args=(server,), daemon=True).start()
            supervisor.of.handover["trial"]["check"] = f"http://127.0.0.1:{server.getsockname()[1]}/alerts"
            offer(supervisor)
            self.assertIn("503", supervisor.refused()["what"])

    @staticmethod
    def say_no(server):
        while True:
            try:
                with server.accept()[0] as client:
                    client.recv(4096)
                    client.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                return

    def test_a_worker_that_dies_ends_the_trial(self):
        with running(canary(**{"for": "60s"})) as supervisor:
            supervisor.of.bad("dies-in-trial=3")
            with Load(supervisor.of.port, 200, "--mode", "new") as load:
                self.assertIn("in its trial", supervisor.refused()["what"])
            # It takes with it what it had taken, and no more.
            self.assertLessEqual(load.report.failed, 3, load.report)
