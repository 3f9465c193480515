"""The traps of many listeners at one address, as clients would meet them."""

import os
import signal
import socket
import unittest

from kit import fixtures, http, proc
from kit.load import Load
from kit.network import enter_own_network
from kit.runner import within
from kit.supervisor import running
from kit.waiting import let_pass, wait_until


class Migration(unittest.TestCase):
    """net.ipv4.tcp_migrate_req moves what waits at a closed listener to another one, whichever: it must find nothing."""

    def handovers(self, migrate):
        enter_own_network(tcp_migrate_req=migrate)
        with running() as supervisor:
            with Load(supervisor.of.port, 600, "--mode", "new") as load:
                for round in range(30):
                    supervisor.of.engines["web"] = supervisor.of.web("--version-text", f"v{round}")
                    supervisor.let_drain()
                    self.assertEqual(supervisor.reload()["outcome"], "done")
                    supervisor.of.bad("answers-500")
                    supervisor.refused()
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(fixtures.counts(supervisor.of.bad_counts)["clients"], 0)

    @within(90)
    def test_handovers_with_it(self):
        self.handovers(1)

    @within(90)
    def test_handovers_without_it(self):
        self.handovers(0)


class Strangers(unittest.TestCase):
    def test_a_program_of_the_same_user_at_the_same_address_stops_a_reload_and_is_named(self):
        with running() as supervisor, socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            stranger.bind(("127.0.0.1", supervisor.of.port))
            stranger.listen()
            verdict = supervisor.refused()
            self.assertIn(str(supervisor.of.port), verdict["what"])
            stranger.close()
            self.assertEqual(supervisor.reload()["outcome"], "done")


class Quiet(unittest.TestCase):
    """An old listener is closed only when nothing waits in it."""

    @within(90)
    def test_what_waits_at_the_old_generation_is_answered_by_it(self):
        def slow(made):
            made.engines["web"] = made.web(workers=1, stop_timeout="30s")

        with running(slow) as supervisor:
            old = supervisor.pids()[0]
            os.kill(old, signal.SIGSTOP)  # so that what comes waits in its queue
            waiting = [http.Client(supervisor.of.port, within=30) for _ in range(50)]
            for client in waiting:
                client.send(keep=False)
            supervisor.of.engines["web"]["command"] = supervisor.of.fixture("--version-text", "new")
            self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(http.ask(supervisor.of.port).release, "new")
            let_pass(1)  # the old listener must still be there after a while
            self.assertTrue(proc.stat(old))
            os.kill(old, signal.SIGCONT)
            self.assertEqual([client.receive().generation for client in waiting], [1] * 50)
            wait_until(lambda: not proc.stat(old), 20, "the old worker to end")


class Shares(unittest.TestCase):
    def test_a_share_on_a_path_or_for_datagrams_is_an_error(self):
        for listen in ("udp:127.0.0.1:1", "/tmp/baton-share.sock"):
            with self.subTest(listen), running() as supervisor:
                supervisor.of.sockets["http"]["listen"] = listen
                supervisor.of.engines["web"].pop("prove")
                supervisor.of.handover["trial"] = {"share": "5%", "for": "1s"}
                self.assertEqual(supervisor.refused()["exitCode"], 78)
