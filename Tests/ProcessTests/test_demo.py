"""The demo holds, and its control run, with steering and proof off, does not: what it counts can fail."""

import subprocess
import unittest

from kit import programs
from kit.runner import within


def demo(*options):
    return subprocess.run(
        ["/usr/bin/python3", "-B", str(programs.ROOT / "Tests/Kit/demo.py"), "--foreground", *options],
        capture_output=True, text=True, timeout=220,
    )  # fmt: skip


@within(240)
class Demo(unittest.TestCase):
    def test_it_holds(self):
        done = demo()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("requests counted, 0 failed"), 2, "reloads, then deploys")
        for line in ("v1 → v2: serves", "which no compiler takes: refused", "gives a wrong answer: refused", "recover"):
            self.assertIn(line, done.stdout)

    def test_its_control_run_does_not(self):
        done = demo("--broken")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("requests counted, 0 failed", done.stdout)
        self.assertIn("requests counted", done.stdout)
