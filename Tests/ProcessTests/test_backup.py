"""`baton backup` from outside: on a full disk, damaged, beside a running deploy."""

import fcntl
import json
import os
import pathlib
import shutil
import stat
import subprocess
import unittest

from kit.backups import digest, service


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
            # One bit may be harmless: a match at another distance gives the same bytes in repeating data.
            middle = slice(len(data) // 2, len(data) // 2 + 32)
            data[middle] = bytes(byte ^ 0xFF for byte in data[middle])
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
