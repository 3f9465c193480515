"""The command `baton` where systemd runs the service: a stop that stays, and logs with the right filters."""

import json
import time
import unittest

from kit.installed import installed
from kit.runner import within


@within(120)
class Stop(unittest.TestCase):
    def test_it_goes_through_systemd_and_is_not_started_again(self):
        with installed() as it:
            it.start()
            done = it.baton("stop", "demo")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(it.property("ActiveState"), "inactive")
            self.assertEqual(it.property("NRestarts"), "0")
            self.assertEqual(it.property("Result"), "success")

    def test_now_cuts_what_would_take_long(self):
        with installed() as it:
            it.engines["web"] = it.web("--misbehave", "ignores-term")
            it.start()
            began = time.monotonic()
            done = it.baton("stop", "--now", "--json", "demo")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertLess(time.monotonic() - began, 10, "a stop in order would take 20 s")
            self.assertEqual(json.loads(done.stdout), {"unit": "baton@demo.service", "stopped": True})
            self.assertEqual(it.property("ActiveState"), "inactive")
            self.assertEqual(it.property("NRestarts"), "0")

    def test_then_nobody_answers_and_the_way_back_is_named(self):
        with installed() as it:
            it.start()
            it.baton("stop", "demo")
            done = it.baton("status", check=False)
            self.assertEqual(done.returncode, 69)
            self.assertIn("systemctl start baton@demo", done.stderr)


@within(120)
class Logs(unittest.TestCase):
    def test_a_service_means_its_workers_its_supervisor_and_what_systemd_says_of_it(self):
        with installed() as it:
            it.start()
            it.machine.run("journalctl", "--sync")
            shown = it.baton("logs").stdout
            for words in ("web.1", "serves", "Started baton@demo.service"):
                self.assertIn(words, shown)


if __name__ == "__main__":
    unittest.main()
