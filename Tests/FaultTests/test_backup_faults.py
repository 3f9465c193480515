"""`baton backup` cut off at every effect: no archive by its name that is not whole, and the next one is made."""

import os
import shutil
import unittest

from kit.backups import digest, service


class CutOff(unittest.TestCase):
    """At every point that the program itself reports: no archive by its name that is not whole, and the next one is made."""

    def points(self, one, *words):
        log = one.folder / "points"
        done = one.baton(*words, BATON_FAULT_LOG=str(log))
        self.assertEqual(done.returncode, 0, done.stderr)
        return [line.split(" ", 3) for line in log.read_text().splitlines()]

    def check(self, one, said):
        for archive in one.archives:
            self.assertEqual(one.baton("verify", "--archive", archive).returncode, 0, said)
        again = one.baton("create")
        self.assertEqual(again.returncode, 0, f"{said}: {again.stderr}")
        left = [name for name in os.listdir(one.directory / "backups") if name.startswith(".")]
        self.assertEqual(left, [], said)

    def test_create_killed_or_failed_at_every_effect(self):
        with service() as one:
            points = self.points(one, "create")
            self.assertGreaterEqual(len(points), 8, points)
            for number, side, kind, subject in points:
                for fault in ("kill", "ENOSPC", "EIO"):
                    one.clear()
                    said = f"{fault} {side} {kind} {subject}"
                    done = one.baton("create", BATON_FAULT=f"{number}:{side}:{fault}")
                    self.assertEqual(done.returncode, -9 if fault == "kill" else 1, f"{said}: {done.stderr}")
                    if fault != "kill":
                        self.assertIn(fault, done.stderr, said)
                    self.check(one, said)

    def test_restore_killed_or_failed_at_every_effect(self):
        with service() as one:
            one.baton("create")
            archive, before = one.archives[0], digest(one.tree)
            (one.directory / "current").unlink()

            def damage():
                for path in (one.directory / "releases").glob(".tmp-*"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                (one.tree / "main").write_text("damaged")

            damage()
            points = self.points(one, "restore", "--archive", archive)
            self.assertIn("exchange", {kind for _, _, kind, _ in points})
            for number, side, kind, subject in points:
                for fault in ("kill", "ENOSPC"):
                    damage()
                    said = f"{fault} {side} {kind} {subject}"
                    old = digest(one.tree)
                    one.baton("restore", "--archive", archive, BATON_FAULT=f"{number}:{side}:{fault}")
                    # Complete: the old, or the new.
                    self.assertIn(digest(one.tree), (old, before), said)
                    done = one.baton("restore", "--archive", archive)
                    self.assertEqual((done.returncode, digest(one.tree)), (0, before), f"{said}: {done.stderr}")


if __name__ == "__main__":
    unittest.main()
