"""What polkit asks for each job of the deploy user: only the unit and the user that a settings file of the host names."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

from kit import programs

SETTINGS = """
[service]
user = "daemon"
directory = "/srv"
[engine.web]
command = ["/bin/true"]
[deploy]
user = "{user}"
unit = "{unit}"
"""
# Of what users and programs need to be found.
KEPT = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "localtime")


class MayDeploy(unittest.TestCase):
    def setUp(self):
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("unshare: no mount namespace for this user")
        folder = tempfile.TemporaryDirectory(prefix="baton-may-")
        self.addCleanup(folder.cleanup)
        self.etc = pathlib.Path(folder.name)
        self.etc.chmod(0o755)
        for name in KEPT:
            if pathlib.Path("/etc", name).exists():
                shutil.copy(f"/etc/{name}", self.etc / name)
        (self.etc / "baton").mkdir()

    def may(self, *words):
        """Its exit status, where this is /etc."""
        script = 'mount --bind "$0" /etc && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, str(self.etc), programs.path("baton"), "may-deploy", *words]
        return subprocess.run(command, capture_output=True, timeout=20).returncode

    def test_only_what_is_named_together(self):
        self.assertEqual(self.may("shop.service", "daemon"), 77, "nothing is named")
        (self.etc / "baton/shop.toml").write_text(SETTINGS.format(user="daemon", unit="shop.service"))
        (self.etc / "baton/blog.toml").write_text(SETTINGS.format(user="nobody", unit="blog.service"))
        (self.etc / "baton/broken.toml").write_text("[deploy\n")
        self.assertEqual(self.may("shop.service", "daemon"), 0)
        self.assertEqual(self.may("blog.service", "nobody"), 0)
        for words in (
            ("blog.service", "daemon"), ("shop.service", "nobody"), ("shop.service", "root"), ("shop", "daemon"),
            ("ssh.service", "daemon"), ("", ""), ("shop.service", ""),
        ):  # fmt: skip
            self.assertEqual(self.may(*words), 77, words)
        for words in ((), ("shop.service",), ("shop.service", "daemon", "more"), ("--unit", "shop.service")):
            self.assertEqual(self.may(*words), 64, words)


if __name__ == "__main__":
    unittest.main()
