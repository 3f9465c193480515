"""`baton signal`, `baton status --details`, and who asked for what in `baton events`."""

import json
import os
import signal
import unittest

from kit import proc
from kit.supervisor import running
from kit.waiting import wait_until


def events(supervisor):
    return supervisor.call("Events", limit=1000)["events"]


class Signals(unittest.TestCase):
    def test_all_workers_or_one_get_it_and_who_asked_is_told(self):
        with running(lambda made: made.engines["web"].update(workers=3)) as supervisor:
            pids = supervisor.pids()
            done = supervisor.baton("signal", "web", "STOP", "--worker", "web.2")
            self.assertEqual((done.returncode, done.stdout), (0, "sent to web.2\n"))
            wait_until(lambda: [proc.stat(pid)[0] for pid in pids].count("T") == 1, 5, "one to stop")
            self.assertEqual(json.loads(supervisor.baton("signal", "web", "SIGCONT", "--json").stdout)["workers"],
                             ["web.1", "web.2", "web.3"])  # fmt: skip
            wait_until(lambda: not [pid for pid in pids if proc.stat(pid)[0] == "T"], 5, "it to go on")
            found = [event for event in events(supervisor) if event["kind"] == "worker-signalled"]
            self.assertEqual(len(found), 4)
            self.assertIn(f"uid {os.geteuid()}", found[0]["reason"])
            self.assertIn("baton", found[0]["reason"])

    def test_one_killed_by_hand_is_replaced_and_is_no_want_of_memory(self):
        with running() as supervisor:
            before = supervisor.pids()
            self.assertEqual(supervisor.baton("signal", "web", "9", "--worker", "web.1").returncode, 0)
            wait_until(lambda: len(set(supervisor.pids()) - set(before)) == 1, 10, "the replacement")
            self.assertIn("ended with SIGKILL", [w.get("lastExit") for w in supervisor.workers()])

    def test_what_is_not_there_is_refused(self):
        with running() as supervisor:
            for words, status in ((("web", "NOSUCH"), 64), (("nope", "HUP"), 64), (("web", "HUP", "--worker", "web.9"), 70)):
                done = supervisor.baton("signal", *words)
                self.assertNotEqual(done.returncode, 0, words)
                self.assertNotEqual(done.stderr, "")


class Who(unittest.TestCase):
    def test_reloads_scalings_signals_and_stops_name_who_asked_also_over_an_upgrade(self):
        with running() as supervisor:
            self.assertEqual(supervisor.baton("reload").returncode, 0)
            self.assertEqual(supervisor.baton("upgrade").returncode, 0)
            self.assertEqual(supervisor.baton("scale", "web=3").returncode, 0)
            supervisor.signal(signal.SIGHUP)
            me = f"uid {os.geteuid()}"
            wait_until(lambda: len([e for e in events(supervisor) if e["kind"] == "asked"]) == 4, 10, "all askers")
            asked = [event for event in events(supervisor) if event["kind"] == "asked"]
            self.assertEqual([event["operation"].split("-")[0] for event in asked], ["reload", "upgrade", "scale", "reload"])
            self.assertTrue(all(event["reason"].startswith(me) for event in asked), asked)
            self.assertIn(f"pid {os.getpid()} ", asked[3]["reason"])
            started = next(e for e in events(supervisor) if e.get("operation") == asked[0]["operation"] and e["kind"] == "generation-starting")
            self.assertLessEqual(asked[0]["timeUsec"], started["timeUsec"])
            wait_until(lambda: supervisor.status()["serving"] == 3, 10, "the reload")
            supervisor.stop()
            self.assertIn(f"stop asked for by {me}", supervisor.log())


class Details(unittest.TestCase):
    def test_commands_and_names_and_values_on_request(self):
        with running(lambda made: made.environment.update(SECRET="a b")) as supervisor:
            shown = supervisor.baton("status", "--details").stdout
            self.assertIn("web runs " + supervisor.of.engines["web"]["command"][0], shown)
            self.assertIn("  SECRET\n", shown)
            self.assertIn("  SECRET=a b\n", supervisor.baton("status", "--details", "--reveal").stdout)
            self.assertEqual(supervisor.baton("status", "--reveal").returncode, 64)
