"""Rolling and canary under a real systemd: nobody notices, an upgrade waits for its turn, a crash brings back what served."""

import re
import unittest

from kit.installed import installed
from kit.runner import within
from kit.waiting import wait_until

TRIALS = {
    "rolling": {"batch": 1, "for": "400ms"},
    "canary": {"steps": ["10%", "50%"], "for": "400ms"},
}


def offer(it, name, strategy, **trial):
    """Another version lies there, and systemd is asked to reload, which takes it in this way; the command."""
    it.handover = {"strategy": strategy, "trial": TRIALS[strategy] | trial}
    it.engines["web"] = it.web("--version-text", name, workers=3)
    it.write()
    return it.machine.start("systemctl", "reload", it.unit)


def wait_trial(it):
    wait_until(lambda: (it.status().get("handover") or {}).get("phase") == "trial", 20, lambda: it.journal()[-3000:])


def back(it, before):
    wait_until(
        lambda: it.pid() not in (0, before) and it.property("ActiveState") == "active", 30, lambda: it.journal()[-3000:])


@within(180)
class Trials(unittest.TestCase):
    def test_no_request_fails_and_an_upgrade_comes_after_it(self):
        with installed() as it:
            it.engines["web"]["workers"] = 3
            it.start()
            before = it.pid()
            with it.load(200, "--mode", "both") as load:
                for strategy, part in (("rolling", r"batch (\d of \d) of generation 2"), ("canary", r"generation 3 meets (\S+) of")):
                    reload = offer(it, strategy, strategy)
                    wait_trial(it)
                    upgrade = it.machine.start("baton", "upgrade", "demo")
                    self.assertEqual((reload.wait(60), upgrade.wait(60)), (0, 0))
                    self.assertEqual({it.ask().release for _ in range(5)}, {strategy})
                    self.assertEqual(len(it.pids()), 3)
                    self.assertEqual(len(set(re.findall(part, it.journal()))), 2, it.journal()[-6000:])
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual((it.pid(), it.property("NRestarts")), (before, "0"))
            self.assertEqual(it.journal().count("without supervision"), 2)

    def test_a_crash_in_the_middle_brings_back_what_served_with_all_of_its_workers(self):
        with installed() as it:
            it.engines["web"] = it.web("--version-text", "good", workers=3)
            it.start()
            stored = it.property("NFileDescriptorStore")
            with it.load(100, "--mode", "new", "--timeout", "20") as load:
                for strategy in TRIALS:
                    reload = offer(it, "new", strategy, **{"for": "60s"})
                    wait_trial(it)
                    before = it.pid()
                    it.kill()
                    back(it, before)
                    reload.wait(60)
                    self.assertEqual({it.ask().release for _ in range(5)}, {"good"})
                    wait_until(lambda: len(it.pids()) == 3, 20)
                    wait_until(lambda: it.property("NFileDescriptorStore") == stored, 20, lambda: it.journal()[-3000:])
            self.assertEqual(load.report.json["failures"].get("refused", 0), 0, load.report)
            self.assertEqual(it.journal().count("(on trial) is given up"), 2)
