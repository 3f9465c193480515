"""Start: ready when it is so, workers that inherit what the settings say and nothing else, a start that fails."""

import os
import signal
import unittest

from kit import fixtures, http, notify, proc, varlink
from kit.supervisor import Supervisor, running, service
from kit.waiting import wait_until


class Readiness(unittest.TestCase):
    def test_ready_is_said_after_the_last_worker_is_ready(self):
        with service() as made:
            made.engines["web"] = made.web("--start-delay", 300, workers=3)
            with notify.NotifySocket(made.folder / "notify") as heard:
                with Supervisor(made, environment={"NOTIFY_SOCKET": heard.path}) as supervisor:
                    ready = heard.wait_for("READY", "1")
                    self.assertEqual(len(fixtures.stamps(made.stamps, "ready")), 3)
                    self.assertEqual(ready.pid, supervisor.pid)
                    self.assertTrue(any("STATUS" in message for message in heard.messages()))

    def test_a_client_that_comes_before_ready_waits_in_the_queue_and_is_answered(self):
        with service() as made:
            made.engines["web"] = made.web("--start-delay", 700)
            supervisor = Supervisor(made).start()
            try:
                client = wait_until(lambda: _connected(made.port), 10, "the listener")
                with client:
                    self.assertEqual(client.ask().status, 200)
            finally:
                supervisor.stop()

    def test_engines_start_in_the_order_of_after(self):
        def two_engines(made):
            made.engines["jobs"] = made.idle("--start-delay", 200)
            made.engines["web"]["after"] = ["jobs"]

        with running(two_engines) as supervisor:
            stamps = fixtures.stamps(supervisor.of.stamps)
            jobs_ready = next(s for s in stamps if s.event == "ready" and s.worker.startswith("jobs"))
            web_execs = [s.seconds for s in stamps if s.event == "exec" and s.worker.startswith("web")]
            self.assertGreaterEqual(min(web_execs), jobs_ready.seconds)

    def test_http_tcp_exec_and_time_are_readiness_too(self):
        with service() as made:
            listen = ["--listen", "127.0.0.1:{port}"]
            made.engines = {
                "by-http": made.web(
                    *listen, sockets=[], prove=None, workers=1, ready={"http": "http://127.0.0.1:{port}/health"}),
                "by-tcp": made.web(*listen, sockets=[], prove=None, workers=1, ready={"tcp": "127.0.0.1:{port}"}),
                "by-exec": made.idle(ready={"exec": ["test", "-e", str(made.stamps)]}),
                "by-time": made.idle(ready={"after": "100ms"}),
            }  # fmt: skip
            made.sockets = {}
            with Supervisor(made) as supervisor:
                states = {each["name"]: each["state"] for each in supervisor.status()["engines"]}
                self.assertEqual(states, dict.fromkeys(made.engines, "ready"))

    def test_it_logs_to_stderr_where_there_is_no_systemd(self):
        with running() as supervisor:
            supervisor.wait_for_log("web.1 g1 | ")

    def test_a_first_generation_that_does_not_start_ends_batond_with_a_reason(self):
        with service() as made:
            made.engines["web"] = made.web("--misbehave", "exits-at-start")
            supervisor = Supervisor(made).start()
            try:
                self.assertEqual(supervisor.wait(30), 1)
                self.assertIn("web", supervisor.log())
                self.assertIn("3", supervisor.log())
            finally:
                supervisor.process.kill()

    def test_two_supervisors_of_one_service_are_not_possible(self):
        with running() as supervisor:
            second = Supervisor(supervisor.of).start()
            try:
                self.assertEqual(second.wait(20), 75)
                self.assertIn(str(supervisor.pid), second.log())
            finally:
                second.process.kill()
            self.assertEqual(http.ask(supervisor.of.port).status, 200)


class Inheritance(unittest.TestCase):
    def inherited(self, **options):
        with service() as made:
            report = made.folder / "report.json"
            made.engines["web"] = made.web("--strict", "--report-process", report, workers=1, umask="0027")
            made.environment = {"COLOUR": "blue"}
            with Supervisor(made, **options):
                return fixtures.inherited(report)

    def test_a_worker_gets_its_sockets_and_identity(self):
        report = self.inherited()
        environment = report["environment"]
        self.assertEqual((report["LISTEN_FDS"], report["LISTEN_FDNAMES"]), ("1", "http"))
        self.assertEqual(int(report["LISTEN_PID"]), report["pid"])
        self.assertEqual(environment["BATON_WORKER"], "web.1")
        self.assertEqual(environment["BATON_GENERATION"], "1")
        self.assertEqual(environment["BATON_SERVICE"], "t")
        self.assertEqual(environment["COLOUR"], "blue")
        self.assertEqual(report["umask"], 0o027)
        self.assertEqual(report["pgid"], report["pid"])

    def test_nothing_else_is_open_and_no_signal_is_blocked_or_ignored(self):
        reading, writing = os.pipe()
        block = ["/usr/bin/python3", "-c", (
            "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32));"
            "signal.signal(signal.SIGPIPE, signal.SIG_IGN); signal.signal(signal.SIGUSR2, signal.SIG_IGN);"
            "os.execvp(sys.argv[1], sys.argv[1:])")]  # fmt: skip
        try:
            report = self.inherited(inherit=(reading, writing), prefix=block)
        finally:
            os.close(reading)
            os.close(writing)
        self.assertEqual(sorted(map(int, report["descriptors"])), [0, 1, 2, 3])
        self.assertEqual(int(report["status"]["SigBlk"], 16), 0)
        self.assertEqual(int(report["status"]["SigIgn"], 16), 0)

    def test_the_supervisors_own_channels_to_systemd_stay_its_own(self):
        with service() as made, notify.NotifySocket(made.folder / "notify") as heard:
            report = made.folder / "report.json"
            made.engines["web"] = made.web("--report-process", report, workers=1)
            own = {"NOTIFY_SOCKET": heard.path, "WATCHDOG_USEC": "60000000", "INVOCATION_ID": "0" * 32}
            with Supervisor(made, environment=own):
                environment = fixtures.inherited(report)["environment"]
            self.assertNotEqual(environment["NOTIFY_SOCKET"], heard.path)
            self.assertNotIn("WATCHDOG_USEC", environment)
            self.assertNotIn("WATCHDOG_PID", environment)


class Footprint(unittest.TestCase):
    def test_one_thread_decides_and_idle_memory_is_small(self):
        with running(lambda made: made.engines["web"].update(workers=8)) as supervisor:
            # What only the start needed is given back when it has settled.
            wait_until(lambda: proc.rss_bytes(supervisor.pid) <= 8 << 20, 10, lambda: f"{proc.rss_bytes(supervisor.pid)} bytes")
            self.assertLessEqual(proc.threads(supervisor.pid), 2)  # the loop, and the ledger's

    def test_no_zombie_and_no_orphan_after_an_orderly_stop(self):
        with running(lambda made: made.engines["web"].update(workers=4)) as supervisor:
            pids = supervisor.pids()
            self.assertEqual(len(pids), 4)
            status, _ = supervisor.stop()
            self.assertEqual(status, 0)
            self.assertEqual([pid for pid in pids if proc.stat(pid)], [])


class Signals(unittest.TestCase):
    def test_interrupt_is_an_orderly_stop_as_well(self):
        with running() as supervisor:
            supervisor.signal(signal.SIGINT)
            self.assertEqual(supervisor.wait(20), 0)
            self.assertEqual(len(fixtures.stamps(supervisor.of.stamps, "exit")), 2)

    def test_hangup_reloads(self):
        with running() as supervisor:
            before = supervisor.status()["serving"]
            supervisor.signal(signal.SIGHUP)
            supervisor.wait_status(lambda status: status["serving"] == before + 1, what="the next generation")

    def test_the_control_socket_is_gone_after_a_stop(self):
        with running() as supervisor:
            supervisor.stop()
            with self.assertRaises((FileNotFoundError, ConnectionRefusedError)):
                varlink.call(supervisor.control, "Status")


def _connected(port):
    try:
        return http.Client(port)
    except ConnectionRefusedError:
        return None
