"""Connections that end because their worker is killed are counted, and told with its name."""

import contextlib
import os
import signal
import socket
import unittest

from kit.manager import managed
from kit.runner import within
from kit.supervisor import running
from kit.waiting import wait_until


def hold(address, path="/slow?ms=60000"):
    """A request whose answer does not come in this test."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(20)
    client.connect(address if isinstance(address, str) else ("127.0.0.1", address))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def cuts(supervisor):
    events = supervisor.call("Events", limit=200)["events"]
    return [each for each in events if each["kind"] == "connections-cut"]


def drains(supervisor):
    return {each["generation"]: each for each in supervisor.status()["drains"]}


class Cuts(unittest.TestCase):
    def held(self, supervisor, generation, count):
        """Until the workers of a generation that drains have so many connections."""
        wait_until(lambda: drains(supervisor).get(generation, {}).get("connections") == count, 10)

    @within(60)
    def test_of_a_generation_that_drains_for_too_long(self):
        def patient(made):
            made.handover["max-drain-time"] = "60s"
            made.engines["web"]["stop-timeout"] = "60s"

        with running(patient) as supervisor:
            clients = [hold(supervisor.of.port) for _ in range(3)]
            supervisor.reload()
            self.held(supervisor, 1, 3)
            text = supervisor.baton("status").stdout
            self.assertRegex(text, r"draining +generation 1, 3 connections, cut in (59|5\d)s")
            # The settings in force count, also for those that drain already.
            supervisor.of.handover["max-drain-time"] = "1s"
            supervisor.reload()
            wait_until(lambda: 1 not in drains(supervisor), 10)
            found = cuts(supervisor)
            self.assertEqual(sum(int(each["reason"]) for each in found), 3, found)
            self.assertTrue(all(each["generation"] == 1 and each["worker"].startswith("web.") for each in found), found)
            self.assertIn("generation 1 still drains and is killed: it may for no longer than 1s (max-drain-time)", supervisor.log())
            self.assertEqual(supervisor.status()["connectionsCut"], 3)
            self.assertIn("3 connections of workers that were killed", supervisor.baton("status").stdout)
            for client in clients:
                with client:
                    self.assertIn(self.end(client), (b"", "reset"))

    def end(self, client):
        try:
            return client.recv(100)
        except ConnectionResetError:
            return "reset"

    @within(60)
    def test_of_the_oldest_of_too_many(self):
        def few(made):
            made.handover |= {"max-draining": 2, "max-drain-time": "60s"}
            made.shutdown["timeout"] = "3s"
            made.engines["web"] |= {"stop-timeout": "60s", "workers": 1}

        with running(few) as supervisor, contextlib.ExitStack() as clients:
            for generation in (1, 2):
                clients.enter_context(hold(supervisor.of.port))
                supervisor.reload()
                self.held(supervisor, generation, 1)
            clients.enter_context(hold(supervisor.of.port))
            supervisor.reload()
            wait_until(lambda: sorted(drains(supervisor)) == [2, 3], 10)
            self.assertEqual([(each["generation"], each["reason"]) for each in cuts(supervisor)], [(1, "1")])
            self.assertIn("generation 1 still drains and is killed: no more than 2 may at once (max-draining)", supervisor.log())

    @within(60)
    def test_of_a_unix_socket_at_a_stop(self):
        path = None

        def unix(made):
            nonlocal path
            path = str(made.folder / "s.sock")
            made.sockets["http"]["listen"] = path
            made.engines["web"]["stop-timeout"] = "1s"

        with running(unix) as supervisor:
            with hold(path):
                supervisor.reload()
                self.held(supervisor, 1, 1)
                supervisor.stop()
            self.assertRegex(supervisor.log(), r"web\.\d of generation 1 is killed with 1 open connection\n")

    @within(60)
    def test_of_what_a_crash_left_behind(self):
        with managed() as it:
            with hold(it.of.port):
                os.kill(it.pid, signal.SIGKILL)
                it.process.wait()
                it.start()
                it.wait_serving()
                self.assertIn("their 1 open connections were cut", it.log())


if __name__ == "__main__":
    unittest.main()
