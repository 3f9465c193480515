"""`baton backup` from outside: cut off at every effect, on a full disk, damaged, beside a running deploy."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import stat
import subprocess
import tempfile
import unittest

from kit import programs


def manifest(release, tree):
    lines = []
    for path in sorted(tree.rglob("*"), key=lambda each: each.relative_to(tree).parts):
        name, mode = path.relative_to(tree).as_posix(), stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            lines.append(f"d {mode:o} {name}\n")
        else:
            lines.append(f"f {mode:o} {path.stat().st_size} {hashlib.sha256(path.read_bytes()).hexdigest()} {name}\n")
    items = "".join(lines)
    text = (
        f"baton-manifest 1\nrelease {release}\noperation test\nmade 2026-01-01T00:00:00Z\nwho test\nsource test\n"
        f"items {len(lines)}\ntree {hashlib.sha256(items.encode()).hexdigest()}\n\n{items}"
    )
    return text + f"end {hashlib.sha256(text.encode()).hexdigest()}\n"


def digest(tree):
    found = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        found.update(f"{path.relative_to(tree)} {stat.S_IMODE(path.lstat().st_mode):o}\n".encode())
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


class Service:
    release = "20260101T000000Z-none-0001"

    def __init__(self, folder):
        self.folder, self.directory = pathlib.Path(folder), pathlib.Path(folder) / "app"
        self.settings = self.folder / "app.toml"
        user = pwd.getpwuid(os.geteuid()).pw_name
        for name in ("releases", "shared/data", "backups", "deploys"):
            (self.directory / name).mkdir(parents=True)
        self.settings.write_text(
            f'[service]\nuser = "{user}"\ndirectory = "{self.directory}"\n[engine.web]\ncommand = ["./main"]\n'
            f'[deploy]\nuser = "{user}"\n[backup]\nkeep = 3\nshared = ["data"]\n'
        )
        self.tree = self.directory / "releases" / self.release
        (self.tree / "lib").mkdir(parents=True)
        for number in range(40):
            (self.tree / "lib" / f"{number}.txt").write_text(f"{number} " * 2_000)
        (self.tree / "main").write_text("#!/bin/sh\n")
        (self.directory / "shared/data/upload").write_text("upload")
        self.serve()

    def serve(self):
        (self.directory / f"releases/{self.release}.manifest").write_text(manifest(self.release, self.tree))
        with contextlib.suppress(FileNotFoundError):
            (self.directory / "current").unlink()
        (self.directory / "current").symlink_to(f"releases/{self.release}")

    def baton(self, *words, **environment):
        return subprocess.run(
            [programs.path("baton"), "backup", *words, "--settings", str(self.settings)], capture_output=True, text=True,
            timeout=60, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
        )  # fmt: skip

    @property
    def archives(self):
        return sorted(name for name in os.listdir(self.directory / "backups") if not name.startswith("."))

    def clear(self):
        for name in os.listdir(self.directory / "backups"):
            (self.directory / "backups" / name).unlink()


@contextlib.contextmanager
def service(below=None):
    with tempfile.TemporaryDirectory(prefix="baton-backup-", dir=below) as folder:
        yield Service(folder)


class Backup(unittest.TestCase):
    def test_made_listed_verified_restored(self):
        with service() as one:
            made = json.loads(one.baton("create", "--json").stdout)
            self.assertEqual((made["release"], made["isNew"]), (one.release, True))
            self.assertEqual(one.archives, [made["archive"]])
            archive = one.directory / "backups" / made["archive"]
            self.assertEqual(stat.S_IMODE(archive.stat().st_mode), 0o600)
            listed = json.loads(one.baton("list", "--json").stdout)
            self.assertEqual([each["archive"] for each in listed["archives"]], one.archives)
            verified = json.loads(one.baton("verify", "--json").stdout)
            self.assertTrue(verified["archives"][0]["sound"])
            before = digest(one.tree)
            shutil.rmtree(one.tree)
            (one.directory / "current").unlink()
            back = one.baton("restore", "--archive", made["archive"])
            self.assertEqual((back.returncode, back.stdout.strip()), (0, str(one.tree)), back.stderr)
            self.assertEqual(digest(one.tree), before)
            aside = one.folder / "aside"
            self.assertEqual(one.baton("restore", "--archive", made["archive"], "--to", str(aside)).returncode, 0)
            self.assertEqual(digest(aside / "release"), before)
            self.assertEqual((aside / "shared/data/upload").read_text(), "upload")

    def test_a_damaged_one_is_named_and_exits_1(self):
        with service() as one:
            one.baton("create")
            archive = one.directory / "backups" / one.archives[0]
            data = bytearray(archive.read_bytes())
            data[len(data) // 2] ^= 1
            archive.write_bytes(data)
            done = one.baton("verify")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"baton: {archive} is ", done.stderr)
            self.assertIn("next:  baton backup create", done.stderr)
            # Never over the tree that serves, whatever the archive is.
            (one.tree / "main").write_text("edited")
            self.assertEqual(one.baton("restore", "--archive", archive.name).returncode, 1)
            self.assertEqual((one.tree / "main").read_text(), "edited")

    def test_who_deploys_is_not_disturbed(self):
        with service() as one, open(one.directory / "deploys/lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(one.baton("create").returncode, 75)
            self.assertEqual(one.baton("list").returncode, 0)
            self.assertEqual(one.archives, [])


class CutOff(unittest.TestCase):
    """At every point that the program itself reports: no archive by its name that is not whole, and the next one is made."""

    def points(self, one, *words):
        log = one.folder / "points"
        done = one.baton(*words, BATON_FAULT_LOG=str(log))
        self.assertEqual(done.returncode, 0, done.stderr)
        if not log.exists():
            self.skipTest("fault points: only a debug build has them (BATON_BIN=.build/debug)")
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


class FullDisk(unittest.TestCase):
    def test_a_small_file_system(self):
        """In a mount namespace of its own: a tmpfs that is too small for the archive, and for the tree."""
        if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("unshare: no namespaces for this user")
        here = pathlib.Path(__file__).resolve()
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "python3", "-B", "-c",
             f"import sys; sys.path.insert(0, {str(here.parent.parent / 'Kit')!r}); sys.path.insert(0, {str(here.parent)!r});"
             "import test_backup; test_backup.on_a_small_file_system()"],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def on_a_small_file_system():
    with service() as one:
        (one.tree / "noise").write_bytes(os.urandom(3 << 20))
        one.serve()
        place = one.directory / "backups"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)], check=True)
        done = one.baton("create")
        assert done.returncode == 1 and "ENOSPC" in done.stderr and "next:  free space" in done.stderr, done
        assert os.listdir(place) == [], os.listdir(place)
        subprocess.run(["umount", str(place)], check=True)
        assert one.baton("create").returncode == 0
        small = one.folder / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], check=True)
        done = one.baton("restore", "--archive", one.archives[0], "--to", str(small / "out"))
        assert done.returncode == 1 and "next:  free space" in done.stderr, done
        assert os.listdir(small) == [], os.listdir(small)
        subprocess.run(["umount", str(small)], check=True)
