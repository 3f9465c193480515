"""The test runner's own promises: a hang, a leak or a crash of a test is a failure of that test."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import unittest

from kit import http, proc, runner
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import Late, wait_until


class Samples(unittest.TestCase):
    """Run by the tests below only."""

    def good(self):
        self.assertTrue(True)

    def wrong(self):
        self.assertEqual(1, 2)

    def skipped(self):
        self.skipTest("no such tool")

    def leaks(self):
        subprocess.Popen(["/bin/sh", "-c", "setsid cat >/dev/null 2>&1 <&- & exec cat"], stdin=subprocess.PIPE)

    @within(1)
    def hangs(self):
        signal.pause()

    def dies(self):
        os.kill(os.getpid(), signal.SIGKILL)


def run(name):
    """The runner's verdict over one sample: (exit status, what it printed)."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = runner.run([Samples(name)])
    return status, printed.getvalue()


class Runner(unittest.TestCase):
    def test_counts(self):
        for name, counts, status in (
            ("good", "1 passed, 0 failed, 0 skipped", 0), ("wrong", "0 passed, 1 failed, 0 skipped", 1),
            ("skipped", "0 passed, 0 failed, 1 skipped", 0),
        ):  # fmt: skip
            self.assertEqual((run(name)[0], run(name)[1].splitlines()[-1]), (status, counts))

    def test_a_skip_says_why(self):
        self.assertIn("no such tool", run("skipped")[1])

    def test_a_leftover_process_is_a_failure_and_gone(self):
        status, said = run("leaks")
        self.assertEqual(status, 1)
        self.assertIn("left processes behind", said)
        self.assertEqual(proc.descendants(os.getpid()), [])

    def test_a_hang_is_a_failure(self):
        status, said = run("hangs")
        self.assertEqual(status, 1)
        self.assertIn("not done after 1 s", said)

    def test_a_death_is_a_failure(self):
        self.assertEqual(run("dies")[0], 1)


class Waiting(unittest.TestCase):
    def test_it_ends_late_and_says_for_what(self):
        with self.assertRaises(Late) as caught:
            wait_until(lambda: False, 0.05, "rain")
        self.assertIn("rain", str(caught.exception))


@unittest.skipUnless(os.geteuid() == 0, "a network of its own needs root")
class KernelSide(unittest.TestCase):
    def test_a_connection_dropped_from_a_queue_is_a_failure_of_the_test(self):
        with socket.create_server(("127.0.0.1", 0), backlog=1) as nobody_accepts:
            load = Load(nobody_accepts.getsockname()[1], 100, "--mode", "new", "--timeout", "0.5")
            with self.assertRaisesRegex(AssertionError, r"the kernel counts [1-9]\d* drops"), load:
                wait_until(lambda: load.tally()["kernel"]["ListenDrops"], 10, "a drop")

    def test_so_is_a_reset_that_no_client_of_the_load_met(self):
        with running() as supervisor:
            load = Load(supervisor.of.port, 50)
            with self.assertRaisesRegex(AssertionError, r"0 drops at listeners, [1-9]\d* resets"), load:
                load.tally()  # So it counts by now.
                http.ask(supervisor.of.port)
                with contextlib.suppress(ConnectionRefusedError):
                    http.ask(http.free_port())
