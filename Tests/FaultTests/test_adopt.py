"""`baton adopt` ended at every effect: the tree is whole, the next command puts back what was begun, and may begin again.

What one effect leaves the next one finds: the short form ends it before every other one (BATON_SEED) and after the last,
BATON_FAULTS=all on both sides of each.
"""

import os
import pathlib
import pwd
import re
import stat
import subprocess
import tempfile
import unittest

from kit import programs
from kit.faults import SIDES
from kit.forms import WHOLE, half
from kit.runner import within

# Counted, so that an effect that is added is ended at as well.
ADOPTING, UNDOING = 73, 72


def points(count):
    """(number, side) of so many effects."""
    if WHOLE:
        return [(number, side) for number in range(1, count + 1) for side in SIDES]
    return [*((number, "before") for number in half(range(1, count + 1), f"adoption {count}")), (count, "after")]


class Tree:
    """A service that runs in place: its directory, its settings, and what it looks like."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o755)
        self.app = self.folder / "app"
        self.path = self.app / "server"
        for name in ("bin", "logs", "data"):
            (self.path / name).mkdir(parents=True)
        for name, text, mode in (
            ("bin/main", "#!/bin/sh\n", 0o755), ("secret", "password", 0o600), ("logs/app.log", "line\n", 0o644),
        ):  # fmt: skip
            (self.path / name).write_text(text)
            (self.path / name).chmod(mode)
            nobody = pwd.getpwnam("nobody")
            os.chown(self.path / name, nobody.pw_uid, nobody.pw_gid)
        self.settings = self.folder / "app.toml"
        self.settings.write_text(
            f'[service]\nuser = "nobody"\ndirectory = "{self.app}"\n[engine.web]\ncommand = ["{self.path}/bin/main"]\n'
            '[deploy]\nuser = "daemon"\nunit = "app.service"\nshared = ["logs", "data"]\n'
        )

    def picture(self):
        """Everything in the tree with owners and modes."""
        found = []
        for top, folders, names in os.walk(self.path):
            folders.sort()
            for name in [".", *sorted(names)]:
                path = pathlib.Path(top) / name
                facts = path.lstat()
                text = "" if name == "." else path.read_text()
                found.append((str(path.relative_to(self.path)), facts.st_uid, facts.st_gid, oct(facts.st_mode), text))
        return found

    def whole(self):
        """What a service finds by the old names."""
        return [(self.path / name).read_text() for name in ("bin/main", "secret", "logs/app.log")] + [
            stat.S_ISDIR((self.path / "data").stat().st_mode)
        ]

    def baton(self, *words, **more):
        return subprocess.run(
            [programs.path("baton"), *words, "app", "--settings", str(self.settings)], capture_output=True, text=True,
            timeout=60, env={**os.environ, **more},
        )  # fmt: skip

    def adopt(self, **more):
        return self.baton("adopt", "--tree", str(self.path), **more)

    def effects(self, *words):
        log = self.folder / "effects"
        done = self.baton(*words, BATON_FAULT_LOG=str(log))
        assert done.returncode == 0, done.stderr
        return max(int(number) for number in re.findall(r"^(\d+) before", log.read_text(), re.MULTILINE))


@unittest.skipUnless(os.geteuid() == 0, "adopting needs root")
class Adoption(unittest.TestCase):
    def setUp(self):
        if pathlib.Path(programs.path("baton")).resolve().parts[-2] != "debug":
            self.skipTest("fault points: only a debug build has them (BATON_BIN=.build/debug)")

    def tree(self):
        folder = tempfile.TemporaryDirectory(prefix="adopt-")
        self.addCleanup(folder.cleanup)
        return Tree(folder.name)

    @within(600)
    def test_killed_at_every_effect(self):
        first = self.tree()
        count = first.effects("adopt", "--tree", str(first.path))
        self.assertEqual(count, ADOPTING)
        for number, side in points(count):
            with self.subTest(effect=number, side=side):
                tree = self.tree()
                before, whole = tree.picture(), tree.whole()
                self.assertEqual(tree.adopt(BATON_FAULT=f"{number}:{side}:kill").returncode, -9)
                self.assertEqual(tree.whole(), whole)
                recovered = tree.baton("recover")
                self.assertEqual(recovered.returncode, 0, recovered.stderr)
                self.assertEqual(tree.whole(), whole)
                if tree.path.is_symlink():
                    self.assertTrue((tree.app / "current").is_dir())
                    again = tree.baton("adopt", "--undo")
                    self.assertEqual(again.returncode, 0, again.stderr)
                self.assertEqual(tree.picture(), before)
                done = tree.adopt()
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(tree.whole(), whole)

    @within(600)
    def test_undoing_killed_at_every_effect(self):
        first = self.tree()
        self.assertEqual(first.adopt().returncode, 0)
        count = first.effects("adopt", "--undo")
        self.assertEqual(count, UNDOING)
        for number, side in points(count):
            with self.subTest(effect=number, side=side):
                tree = self.tree()
                before, whole = tree.picture(), tree.whole()
                self.assertEqual(tree.adopt().returncode, 0)
                cut = tree.baton("adopt", "--undo", BATON_FAULT=f"{number}:{side}:kill")
                self.assertEqual(cut.returncode, -9)
                self.assertEqual(tree.whole(), whole)
                if (tree.app / "deploys/adoption.json").exists():
                    done = tree.baton("adopt", "--undo")
                    self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(tree.picture(), before)


if __name__ == "__main__":
    unittest.main()
