"""The control socket: its contract, who may do what, and clients that mean no good."""

import json
import os
import socket
import subprocess
import unittest

from kit import http, proc, varlink
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import holds_for, wait_until


class Contract(unittest.TestCase):
    def test_it_introduces_itself(self):
        with running() as supervisor:
            info = supervisor.call("org.varlink.service.GetInfo")
            self.assertIn("io.baton.Service", info["interfaces"])
            described = supervisor.call("org.varlink.service.GetInterfaceDescription", interface="io.baton.Service")
            self.assertIn("method Reload", described["description"])

    def test_status_agrees_with_the_processes(self):
        with running() as supervisor:
            status = supervisor.status()
            self.assertEqual((status["service"], status["serving"], status["state"]), ("t", 1, "serving"))
            self.assertEqual(status["supervisor"]["pid"], supervisor.pid)
            pids = {worker["pid"] for engine in status["engines"] for worker in engine["workers"]}
            self.assertEqual(pids, set(proc.children(supervisor.pid)))
            self.assertEqual(status["sockets"][0]["name"], "http")

    def test_unknown_methods_and_wrong_parameters_have_their_errors(self):
        with running() as supervisor, varlink.Connection(supervisor.control) as connection:
            for method, parameters, error in (
                ("io.baton.Service.Fly", {}, "org.varlink.service.MethodNotFound"),
                ("io.nobody.Fly", {}, "org.varlink.service.InterfaceNotFound"),
                ("Scale", {"engine": 3, "workers": 1}, "org.varlink.service.InvalidParameter"),
                ("Scale", {"engine": "web", "workers": -1}, "org.varlink.service.InvalidParameter"),
            ):
                with self.assertRaises(varlink.VarlinkError) as caught:
                    connection.call(method, **parameters)
                self.assertEqual(caught.exception.error, error)

    def test_a_reload_tells_its_progress_to_who_asks_for_more(self):
        with running() as supervisor, varlink.Connection(supervisor.control, 30) as connection:
            answers = list(connection.stream("Reload", wait=True))
            self.assertGreater(len(answers), 1)
            self.assertEqual(answers[-1]["verdict"]["outcome"], "done")
            self.assertTrue(all(answer.get("progress") for answer in answers[:-1]))

    def test_events_are_kept_and_followed(self):
        with running() as supervisor, varlink.Connection(supervisor.control, 30) as connection:
            supervisor.reload()
            past = supervisor.call("Events", limit=100)["events"]
            self.assertTrue(past)
            self.assertEqual([e["timeUsec"] for e in past], sorted(e["timeUsec"] for e in past))
            connection.send("Events", more=True, follow=True, limit=1)
            connection.answer()
            verdict = supervisor.reload()
            wait_until(
                lambda: any(e.get("operation") == verdict["operation"] for e in connection.answer()["events"]), 10)

    def test_events_outlive_the_supervisor(self):
        with running() as supervisor:
            operation = supervisor.reload()["operation"]
            supervisor.stop()
            with supervisor:
                past = supervisor.call("Events", limit=1000)["events"]
                self.assertIn(operation, [e.get("operation") for e in past])

    def test_a_client_that_leaves_does_not_stop_its_reload(self):
        with running() as supervisor:
            supervisor.of.engines["web"] = supervisor.of.web("--start-delay", 500)
            supervisor.of.write()
            with varlink.Connection(supervisor.control) as connection:
                connection.send("Reload", wait=True)
            supervisor.wait_status(lambda status: status["serving"] == 2, what="generation 2")


class Permission(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_others_read_and_may_change_nothing(self):
        with running(lambda made: made.environment.update(SECRET="s3cret")) as supervisor:
            script = (
                "import sys; sys.path.insert(0, sys.argv[1]); from kit import varlink\n"
                "import json\n"
                "out = {}\n"
                "for method, parameters in json.loads(sys.argv[3]):\n"
                "  try: out[method] = json.dumps(varlink.call(sys.argv[2], method, 5, **parameters))\n"
                "  except varlink.VarlinkError as error: out[method] = error.name\n"
                "print(json.dumps(out))\n"
            )
            calls = [
                ["Status", {}], ["Reload", {"wait": True}], ["Restart", {}], ["Stop", {}],
                ["Scale", {"engine": "web", "workers": 9}], ["Environment", {"engine": "web", "reveal": True}],
            ]  # fmt: skip
            kit = supervisor.of.folder / "as-nobody"
            kit.mkdir()
            subprocess.run(["cp", "-r", os.path.dirname(varlink.__file__), str(kit)], check=True)
            done = subprocess.run(
                ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-B", "-c", script,
                 str(kit), str(supervisor.control), json.dumps(calls)],
                capture_output=True, text=True, timeout=30, cwd="/",
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stderr)
            answers = json.loads(done.stdout)
            self.assertIn('"serving"', answers.pop("Status"))
            self.assertEqual(set(answers.values()), {"NotAllowed"}, answers)
            self.assertEqual(supervisor.status()["serving"], 1)
            names = supervisor.call("Environment", engine="web")["variables"]
            self.assertIn("SECRET", [each["name"] for each in names])
            self.assertFalse(any(each.get("value") for each in names))
            revealed = supervisor.call("Environment", engine="web", reveal=True)["variables"]
            self.assertIn("s3cret", [each.get("value") for each in revealed])


@within(90)
class Hostile(unittest.TestCase):
    """None of them delays the loop, and nothing is lost."""

    def assertUnharmed(self, supervisor):
        with Load(supervisor.of.port, 200) as load:
            holds_for(lambda: varlink.call(supervisor.control, "Status", 2)["state"] == "serving", 1.0)
        self.assertEqual(load.report.failed, 0, load.report)
        self.assertLess(proc.rss_bytes(supervisor.pid), 40 << 20)

    def test_half_a_message(self):
        with running() as supervisor:
            halves = [varlink.Connection(supervisor.control) for _ in range(10)]
            for connection in halves:
                connection.socket.sendall(b'{"method":"io.baton.Serv')
            self.assertUnharmed(supervisor)
            for connection in halves:
                connection.close()

    def test_a_hundred_megabytes(self):
        with running() as supervisor, varlink.Connection(supervisor.control, 20) as connection:
            sent = 0
            try:
                while sent < 100 << 20:
                    sent += connection.socket.send(b"x" * 65536)
            except OSError:
                pass
            self.assertLess(sent, 100 << 20, "the supervisor took all of it")
            self.assertUnharmed(supervisor)

    def test_rubbish(self):
        with running() as supervisor:
            for rubbish in (b"\0\0\0\0", os.urandom(1000) + b"\0", b"[" * 50_000 + b"\0", b'{"method":1}\0', b"{}\0",
                            b'{"method":"\xff\xfe"}\0'):  # fmt: skip
                with varlink.Connection(supervisor.control) as connection:
                    connection.socket.sendall(rubbish)
                    connection.socket.shutdown(socket.SHUT_WR)
                    while connection.socket.recv(65536):
                        pass
            self.assertUnharmed(supervisor)

    def test_nothing_at_all_from_very_many(self):
        with running() as supervisor:
            silent = []
            for _ in range(500):
                try:
                    silent.append(varlink.Connection(supervisor.control, 1))
                except OSError:
                    break
            self.assertEqual(http.ask(supervisor.of.port).status, 200)
            for connection in silent:
                connection.close()
            wait_until(lambda: _status(supervisor), 15, "the supervisor to answer again")
            self.assertUnharmed(supervisor)

    def test_one_that_asks_and_never_reads(self):
        with running() as supervisor, varlink.Connection(supervisor.control, 1) as connection:
            try:
                for _ in range(20_000):
                    connection.send("Status")
            except OSError:
                pass
            self.assertUnharmed(supervisor)

    def test_one_that_follows_and_never_reads(self):
        with running() as supervisor, varlink.Connection(supervisor.control, 1) as connection:
            connection.send("Events", more=True, follow=True)
            for _ in range(5):
                supervisor.reload()
            self.assertUnharmed(supervisor)


def _status(supervisor):
    try:
        return varlink.call(supervisor.control, "Status", 1)["state"] == "serving"
    except (OSError, varlink.Closed, varlink.VarlinkError):
        return False
