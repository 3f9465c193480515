"""The demo holds, and its control run, with steering and proof off, does not: what it counts can fail."""

import subprocess
import unittest

from kit import programs
from kit.runner import alone, within


def demo(*options):
    return subprocess.run(
        ["/usr/bin/python3", "-B", str(programs.ROOT / "Tests/Kit/demo.py"), "--foreground", *options],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip


@alone
@within(120)
class Demo(unittest.TestCase):
    def test_it_holds(self):
        done = demo()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("requests counted, 0 failed", done.stdout)

    def test_its_control_run_does_not(self):
        done = demo("--broken")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("requests counted, 0 failed", done.stdout)
        self.assertIn("requests counted", done.stdout)
