"""Workers that are well are replaced before they grow too far; a supervisor that was stopped blames nobody."""

import os
import signal
import time
import unittest

from kit import http, proc
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import holds_for, let_pass, wait_until


def kinds(supervisor):
    return [event["kind"] for event in supervisor.call("Events", limit=1000)["events"]]


def says(text):
    """A shell command that says something of itself, as an engine without sockets does."""
    script = (
        'import os,signal,socket;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.connect(os.environ["NOTIFY_SOCKET"]);'
        f's.send(b"READY=1\\nSTATUS={text}");signal.pause()'
    )
    return ["/usr/bin/env", "python3", "-c", script]


@within(120)
class Recycling(unittest.TestCase):
    def test_old_workers_are_replaced_one_at_a_time_and_nobody_notices(self):
        def aged(made):
            made.engines["web"].update({"workers": 3, "max-age": "2s"})

        with running(aged) as supervisor:
            first = set(supervisor.pids())
            with Load(supervisor.of.port, 300) as load:
                fewest, most = 3, 0
                deadline = time.monotonic() + 30
                while set(supervisor.pids()) & first and time.monotonic() < deadline:
                    engine = supervisor.status()["engines"][0]
                    fewest = min(fewest, engine["ready"])
                    most = max(most, len([w for w in engine["workers"] if w["state"] in ("ready", "starting")]))
            self.assertFalse(set(supervisor.pids()) & first)
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertGreaterEqual(fewest, 3)
            self.assertLessEqual(most, 4)
            self.assertGreaterEqual(kinds(supervisor).count("worker-recycled"), 3)
            self.assertEqual({w["restarts"] for w in supervisor.workers()}, {0})

    def test_one_that_grows_or_has_answered_enough_is_replaced_with_the_reason(self):
        grows = "import signal;x=bytearray(90<<20);signal.pause()"

        def growing(made):
            made.engines["fat"] = made.idle(
                command=["/usr/bin/env", "python3", "-c", grows], ready={"after": "100ms"}, memory_limit="64M")
            made.engines["busy"] = made.idle(command=says("fine requests=12"), max_requests=12)
            made.engines["calm"] = made.idle(command=says("fine requests=11"), max_requests=12)

        with running(growing) as supervisor:
            calm = supervisor.pids("calm")
            wait_until(lambda: "fat.1 is replaced by a fresh one: it takes" in supervisor.log(), 20)
            wait_until(lambda: "busy.1 is replaced by a fresh one: it has answered 12 requests" in supervisor.log(), 20)
            self.assertEqual(supervisor.pids("calm"), calm)

    def test_an_upgrade_waits_for_the_one_that_is_being_replaced_and_ages_go_on(self):
        def aged(made):
            made.engines["web"].update({"max-age": "3s", "workers": 1})

        with running(aged) as supervisor:
            first = supervisor.pids()
            self.assertEqual(supervisor.baton("upgrade").returncode, 0)
            wait_until(lambda: supervisor.pids() and supervisor.pids() != first, 15, "a fresh one after the upgrade")
            self.assertEqual(http.ask(supervisor.of.port).status, 200)


@within(120)
class Away(unittest.TestCase):
    def test_a_stopped_supervisor_punishes_nobody_when_it_goes_on(self):
        def watched(made):
            made.engines["web"]["watchdog"] = "600ms"
            made.engines["jobs"] = made.idle("--start-delay", "4000", start_timeout="5s", watchdog="600ms")

        with running(watched) as supervisor:
            pids = supervisor.pids() + supervisor.pids("jobs")
            supervisor.signal(signal.SIGSTOP)
            let_pass(4)
            supervisor.signal(signal.SIGCONT)
            supervisor.wait_for_log("did not run for")
            holds_for(lambda: supervisor.pids() + supervisor.pids("jobs") == pids, 2, "the same workers")
            self.assertNotIn("worker-fault", kinds(supervisor))
            # One that hangs from then on is found.
            os.kill(pids[0], signal.SIGSTOP)
            wait_until(lambda: not proc.alive(pids[0]), 10, "the hung worker to be gone")

    def test_the_time_to_start_does_not_run_while_it_is_stopped(self):
        with running() as supervisor:
            supervisor.of.engines["web"] = supervisor.of.web(
                ready={"http": "http://127.0.0.1:{port}/health"}, start_timeout="2s", workers=1, prove=None)
            supervisor.of.engines["web"]["command"] = [
                "/bin/sh", "-c", "kill -STOP $PPID; sleep 3; kill -CONT $PPID; exec python3 -m http.server $PORT",
                "{port}"]  # fmt: skip
            supervisor.of.write()
            (supervisor.of.app / "health").write_text("well")
            self.assertEqual(supervisor.reload()["outcome"], "done")
