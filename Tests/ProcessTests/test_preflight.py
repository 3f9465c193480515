"""What is looked at before a deploy begins: each refusal with its remedy, and nothing begun."""

import json
import os
import pathlib
import subprocess
import unittest

from kit.deploys import deployed


def in_too_little_room():
    """In a mount namespace of its own: half as much again as the release that serves, and what a backup of it may take."""
    with deployed() as deploy:

        def space(options, megabytes=0):
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(deploy.directory)], check=True)
            try:
                if megabytes:
                    release = deploy.directory / "releases/20260101T000000Z-none-abcd"
                    release.mkdir(parents=True)
                    (release / "data").write_bytes(os.urandom(megabytes << 20))
                    (deploy.directory / "current").symlink_to(f"releases/{release.name}")
                looks = json.loads(deploy.baton("preflight", "--json").stdout)["checks"]
                return next((each["state"], each["what"]) for each in looks if each["check"] == "space")
            finally:
                subprocess.run(["umount", str(deploy.directory)], check=True)

        state, what = space("size=200m,nr_inodes=300")
        assert state == "refused" and "inodes free, and a release needs 1000" in what, what
        state, what = space("size=100m", 30)
        assert state == "refused" and "a release needs 75M" in what, what
        state, what = space("size=100m", 10)
        assert state == "fine" and "64M needed" in what, what


class Preflight(unittest.TestCase):
    def test_it_says_all_that_is_in_the_way(self):
        with deployed() as deploy:
            fine = deploy.baton("preflight")
            self.assertEqual(fine.returncode, 0, fine.stdout + fine.stderr)
            deploy.deploy["checklist"] = [{"text": "one", "run": ["false"]}]
            (deploy.directory / "current").mkdir()
            done = deploy.baton("preflight", "--json")
            found = json.loads(done.stdout)
            self.assertEqual((done.returncode, found["ready"]), (1, False))
            self.assertEqual(
                {each["check"] for each in found["checks"] if each["state"] == "refused"}, {"directory", "checklist"})
            self.assertIn("baton adopt", json.dumps(found))

    @unittest.skipIf(os.geteuid() != 0, "needs root, to become the deploy user")
    def test_a_directory_that_is_not_the_deploy_users_is_refused_with_the_remedy(self):
        with deployed() as deploy:
            deploy.deploy["user"] = "nobody"
            done = deploy.baton("deploy", "--foreground")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(f"chown nobody {deploy.directory}", done.stderr)
            self.assertIn("nothing was begun", done.stderr)
            self.assertFalse((deploy.directory / "releases").exists())

    def test_too_little_room_is_refused_with_what_is_needed(self):
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("unshare: no mount namespace for this user")
        here = pathlib.Path(__file__).resolve()
        done = subprocess.run(
            ["unshare", "--mount", "python3", "-B", "-c",
             f"import sys; sys.path.insert(0, {str(here.parent.parent / 'Kit')!r}); sys.path.insert(0, {str(here.parent)!r});"
             "import test_preflight; test_preflight.in_too_little_room()"],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
