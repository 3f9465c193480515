"""Workers are replaced in batches, and come back when the new version is no good."""

import re
import threading
import unittest

from kit import http
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import wait_until


def rolling(workers=3, **trial):
    def change(made):
        made.handover |= {"strategy": "rolling", "trial": {"batch": 1, "for": "1s"} | trial}
        made.engines["web"]["workers"] = workers

    return change


def offer(supervisor, workers=3):
    supervisor.of.engines["web"] = supervisor.of.web("--version-text", "new") | {"workers": workers}


def batches(supervisor):
    return re.findall(r"batch (\d+ of \d+) of generation 2", supervisor.log())


def generations(supervisor):
    """Of the workers that are ready."""
    return sorted(each["generation"] for each in supervisor.workers(state="ready"))


@within(120)
class Rolling(unittest.TestCase):
    def test_batch_by_batch_and_no_request_fails(self):
        with running(rolling()) as supervisor:
            offer(supervisor)
            with Load(supervisor.of.port, 400, "--mode", "both") as load:
                self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(batches(supervisor), ["1 of 3", "2 of 3"])
            self.assertEqual({each.release for each in http.asks(supervisor.of.port, 50)}, {"new"})
            self.assertEqual(len(supervisor.pids()), 3)

    def test_no_more_than_a_batch_too_many_run_and_clients_meet_both(self):
        with running(rolling(4, batch=2)) as supervisor:
            offer(supervisor, 4)
            reload = threading.Thread(target=supervisor.reload)
            reload.start()
            seen, most = set(), 0
            while reload.is_alive():
                most = max(most, len(supervisor.workers()))
                seen |= {each.release for each in http.asks(supervisor.of.port, 10)}
            reload.join()
            self.assertLessEqual(most, 6)
            self.assertGreaterEqual(most, 5)
            self.assertEqual(len(seen), 2)
            self.assertEqual(batches(supervisor), ["1 of 2"])
            self.assertEqual({each.release for each in http.asks(supervisor.of.port, 20)}, {"new"})

    def test_a_no_in_a_pause_brings_all_back_and_no_request_fails(self):
        with running(rolling()) as supervisor:
            path = supervisor.of.folder / "check"
            # Good after the first batch, bad after the second.
            path.write_text(f"#!/bin/sh\necho >> {path}.asked\n[ $(wc -l < {path}.asked) -lt 2 ]\n")
            path.chmod(0o755)
            supervisor.of.handover["trial"]["check"] = [str(path)]
            offer(supervisor)
            with Load(supervisor.of.port, 400, "--mode", "new") as load:
                self.assertIn("the check of its trial said no: ", supervisor.refused()["what"])
                self.assertEqual({each.generation for each in http.asks(supervisor.of.port, 100)}, {1})
                wait_until(lambda: generations(supervisor) == [1, 1, 1], 10)
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(batches(supervisor), ["1 of 3", "2 of 3"])

    def test_a_batch_that_cannot_start_brings_all_back(self):
        with running(rolling()) as supervisor:
            offer(supervisor)
            flag = supervisor.of.folder / "flag"
            web = supervisor.of.engines["web"]
            # The first of them works, and no other.
            web["command"] = ["/bin/sh", "-c", f'mkdir {flag} && exec "$@"', "sh", *web["command"]]
            with Load(supervisor.of.port, 400, "--mode", "new") as load:
                verdict = supervisor.refused()
                wait_until(lambda: generations(supervisor) == [1, 1, 1], 10)
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertIn("in its trial", verdict["what"])
            self.assertEqual(batches(supervisor), ["1 of 3"])
