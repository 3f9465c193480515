"""An activation in which one thing goes wrong: old or new serves, and the undo leads back from every instant."""

import signal
import unittest

from kit.activations import Steering, current, releases, run
from kit.load import Load
from kit.runner import within
from kit.supervisor import running


class Steered(Steering):
    @within(120)
    def test_killed_at_each_effect_it_is_undone_or_finished(self):
        """What recovery does with either decision, from every instant of the activation."""
        points = 8
        for side in ("before", "after"):
            for number in range(1, points + 1):
                with self.subTest(f"{number} {side}"), running(releases()) as supervisor:
                    with Load(supervisor.of.port, 300, "--mode", "new") as load:
                        status, said = run(supervisor, "activate", fault=f"{number}:{side}:kill")
                        self.assertEqual(status, -signal.SIGKILL, said)
                        self.assertIn(current(supervisor), ("releases/r1", "releases/r2"))
                        _, running_now = run(supervisor, "running")
                        if number % 2:
                            self.assertEqual(run(supervisor, "undo", "--exposed")[0], 0)
                            self.holds(supervisor, "r1")
                            self.assertEqual(run(supervisor, "undo", "--exposed")[0], 0)  # twice is once
                            self.holds(supervisor, "r1")
                        else:
                            # Committed (6 after, 7, 8): only the rest is done; else all of it again.
                            committed = 'release("r2")' in running_now or "release(r2)" in running_now
                            self.assertEqual(committed, (number, side) >= (7, "") or (number, side) == (6, "after"))
                            status, said = run(supervisor, "activate")
                            self.assertEqual(status, 0, said)
                            self.assertEqual("serves release r2 already" in said, committed)
                            self.holds(supervisor, "r2")
                    self.assertEqual(load.report.failed, 0, load.report)

    @within(60)
    def test_each_effect_that_fails_leaves_the_old_one(self):
        for number in range(1, 9):
            with self.subTest(number), running(releases()) as supervisor:
                status, said = run(supervisor, "activate", fault=f"{number}:before:EIO")
                self.assertEqual(status, 1, said)
                self.assertIn("EIO", said)
                self.assertEqual(run(supervisor, "undo", "--exposed")[0], 0)
                self.holds(supervisor, "r1")

    @within(60)
    def test_a_full_disk_is_noticed_before_any_client_meets_it(self):
        with running(releases()) as supervisor:
            with Load(supervisor.of.port, 400, "--mode", "new") as load:
                status, said = run(supervisor, "activate", fault="1:before:ENOSPC")
                self.assertEqual(status, 1)
            self.assertEqual(set(load.report.versions), {"r1"})
            self.holds(supervisor, "r1")


if __name__ == "__main__":
    unittest.main()
