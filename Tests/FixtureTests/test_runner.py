"""The test runner, run on tests made for it: what it calls passed, failed, unsteady and left behind."""

import ctypes
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest
from unittest import mock

import tiers
from kit import proc
from kit.waiting import wait_until

PTRACE_SEIZE, WALL = 0x4206, 0x40000000
# wait4's number, as /proc/PID/syscall names it.
WAIT4 = {"x86_64": "61", "aarch64": "260"}
RUN = pathlib.Path(__file__).resolve().parents[1] / "Kit/run.py"


class RunnerTests(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="runner-")))

    def start(self, body):
        """The runner on one class whose methods are `body`."""
        text = "import os, pathlib, subprocess, unittest\nfrom kit import proc\n"
        text += f"HERE = pathlib.Path({str(self.folder)!r})\n\nclass Tests(unittest.TestCase):\n"
        (self.folder / "test_made.py").write_text(text + textwrap.indent(textwrap.dedent(body), "    "))
        return subprocess.Popen(
            [sys.executable, "-B", RUN, self.folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "BATON_AGAIN": "3"})

    def outcome(self, body):
        """Runs it to its end; returns (status, output)."""
        running = self.start(body)
        said, _ = running.communicate(timeout=50)
        return running.returncode, said

    def test_what_fails_each_time_is_a_failure(self):
        status, said = self.outcome("""
            def test_wrong(self):
                self.fail("as ever")
            """)
        self.assertEqual(status, 1)
        self.assertIn("failed: test_made.Tests.test_wrong\n0 passed, 1 failed, 0 skipped", said)

    def test_what_fails_once_is_unsteady_and_said(self):
        status, said = self.outcome("""
            def test_once(self):
                with open(HERE / "runs", "a") as runs:
                    runs.write("x")
                self.assertNotEqual((HERE / "runs").read_text(), "x")
            """)
        self.assertEqual(status, 0, said)
        self.assertIn("FAILED  test_made.Tests.test_once", said)
        self.assertIn("unsteady test_made.Tests.test_once: failed, then passed 3 times alone\n1 passed, 0 failed", said)

    def test_what_fails_every_other_time_is_a_failure(self):
        status, said = self.outcome("""
            def test_often(self):
                with open(HERE / "runs", "a") as runs:
                    runs.write("x")
                self.assertIn(len((HERE / "runs").read_text()), (2, 4))
            """)
        self.assertEqual(status, 1, said)
        self.assertIn("0 passed, 1 failed", said)

    def test_many_that_fail_are_not_run_again(self):
        status, said = self.outcome("""
            def test_a(self):
                self.once("a")
            def test_b(self):
                self.once("b")
            def test_c(self):
                self.once("c")
            def once(self, name):
                if not (HERE / name).exists():
                    (HERE / name).touch()
                    self.fail("the first time")
            """)
        self.assertEqual(status, 1, said)
        self.assertIn("0 passed, 3 failed", said)

    def test_one_that_is_ending_is_not_left_behind(self):
        # The first process of a pid namespace stays, without memory, until all others in it have been reaped; and one
        # that is traced is reaped by who traces it, which is this process, until the runner waits for what is left.
        running = self.start("""
            def test_ending(self):
                outer = subprocess.Popen(["unshare", "--pid", "--fork", "/bin/sh", "-c", "sleep 99 & wait"])
                (init,) = self.below(outer.pid)
                (child,) = self.below(init)
                (HERE / "new").write_text(f"{os.getpid()} {child}")
                (HERE / "new").rename(HERE / "pids")
                proc.wait_until((HERE / "traced").exists, 10, "the tracer")
                proc.kill(outer.pid)
                outer.wait()
                proc.kill(init)
                proc.wait_until(lambda: proc.ending(init), 10, "its end")
                self.assertTrue(proc.alive(init))
            def below(self, pid):
                return proc.wait_until(lambda: proc.children(pid), 10, "a child")
            """)
        runner, child = wait_until(self.pids, 20, "the test to begin")
        self.assertEqual(ctypes.CDLL(None).ptrace(PTRACE_SEIZE, child, 0, 0), 0)
        (self.folder / "traced").touch()
        wait_until(lambda: proc.zombie(child) and self.waits(runner), 20, "the runner to wait for what is left")
        os.waitpid(child, WALL)
        said, _ = running.communicate(timeout=50)
        self.assertEqual(running.returncode, 0, said)

    def pids(self):
        place = self.folder / "pids"
        return tuple(map(int, place.read_text().split())) if place.exists() else None

    def waits(self, pid):
        return pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0] == WAIT4[os.uname().machine]


STUB = """#!/usr/bin/python3
import pathlib, sys
runs = pathlib.Path(__file__).with_name("runs")
with open(runs, "a") as file:
    file.write("x")
bad = "<failure/>" if len(runs.read_text()) in FAILS else ""
report = f'<testsuites><testcase classname="M.S" name="t()">{bad}</testcase></testsuites>'
pathlib.Path(sys.argv[sys.argv.index("--xunit-output") + 1]).write_text(report)
sys.exit(1 if bad else 0)
"""


class UnitTests(unittest.TestCase):
    """What scripts/test makes of a unit test that fails in some of its runs."""

    def outcome(self, fails):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="runner-")))
        stub = folder / "tests"
        stub.write_text(STUB.replace("FAILS", repr(fails)))
        stub.chmod(0o755)
        self.enterContext(mock.patch.object(tiers, "UNIT_TESTS", str(stub)))
        self.enterContext(mock.patch.object(tiers, "unsteady", []))
        self.enterContext(mock.patch.object(tiers.runner, "AGAIN", 3))
        return str(tiers.repeated(*tiers.swift_run())), tiers.unsteady

    def test_one_that_fails_once_is_unsteady_and_one_that_fails_again_is_not(self):
        self.assertEqual(self.outcome((1,)), ("1 passed, 0 failed, 0 skipped", ["unsteady M.S/t()"]))
        self.assertEqual(self.outcome((1, 3)), ("0 passed, 1 failed, 0 skipped", []))
        self.assertEqual(self.outcome(()), ("1 passed, 0 failed, 0 skipped", []))
