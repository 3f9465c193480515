"""A batond that dies without notice under a real systemd: what served serves again, from what systemd kept."""

import signal
import unittest

from kit.installed import installed
from kit.runner import within
from kit.waiting import wait_until


def colour(it):
    return it.ask("/env?COLOUR").body.strip()


def back(it, before):
    """Another batond serves."""
    wait_until(
        lambda: it.pid() not in (0, before) and it.property("ActiveState") == "active", 30,
        lambda: f"it to be back:\n{it.journal()[-3000:]}",
    )  # fmt: skip


def refused(load):
    return load.report.json["failures"].get("refused", 0)


@within(180)
class WhatServed(unittest.TestCase):
    def test_serves_again_whatever_lies_on_disk_and_however_it_died(self):
        with installed() as it:
            it.environment["COLOUR"] = "blue"
            it.start()
            it.machine.write("/etc/baton/demo.toml", "this is [no TOML")
            for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
                before = it.pid()
                with it.load(100, "--mode", "new", "--timeout", "20") as load:
                    seen = it.counts()["clients"]
                    wait_until(lambda: it.counts()["clients"] > seen + 20, 10)
                    it.kill(number)
                    back(it, before)
                    self.assertEqual(colour(it), "blue")
                self.assertEqual(refused(load), 0, load.report)
            self.assertIn("came back after it ended without notice", it.journal())
            self.assertIn("what 2 workers were answering was cut: web.1 of generation", it.journal())
            # A restart that was asked for reads what lies there.
            self.assertNotEqual(it.systemctl("restart", check=False).returncode, 0)

    def test_a_candidate_and_its_listener_are_given_up(self):
        with installed() as it:
            # What brings it back is its end, and no watchdog or time limit.
            it.drop_in("[Service]\nWatchdogSec=5min\nTimeoutStartSec=5min\n")
            it.environment["COLOUR"] = "blue"
            it.start()
            stored = it.property("NFileDescriptorStore")
            it.bad("never-ready", start_timeout="60s")
            it.write()
            with it.load(100, "--mode", "new", "--timeout", "20") as load:
                reload = it.machine.start("systemctl", "reload", it.unit, stderr=-3)
                wait_until(lambda: it.property("NFileDescriptorStore") == str(int(stored) + 1), 10, "its listener")
                before = it.pid()
                it.kill()
                back(it, before)
                reload.wait(60)
                wait_until(lambda: it.property("NFileDescriptorStore") == stored, 20, lambda: it.journal()[-3000:])
                self.assertEqual(colour(it), "blue")
            self.assertEqual(refused(load), 0, load.report)
            self.assertEqual(it.counts("bad")["clients"], 0)
            self.assertIn("2 listeners of 127.0.0.1:8000 came back", it.journal())

    def test_a_restart_in_the_middle_of_a_handover_loses_nobody(self):
        with installed() as it:
            it.start()
            stored = it.property("NFileDescriptorStore")
            with it.load(100, "--mode", "new", "--timeout", "20") as load:
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 20, 10)
                it.engines["web"]["command"] += ["--start-delay", "3000"]
                it.write()
                reload = it.machine.start("systemctl", "--no-block", "reload", it.unit, stderr=-3)
                wait_until(lambda: it.property("NFileDescriptorStore") == str(int(stored) + 1), 10, "its listener")
                it.systemctl("restart")
                reload.wait(60)
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 20, 10)
            self.assertEqual(load.report.failed, 0, load.report)
