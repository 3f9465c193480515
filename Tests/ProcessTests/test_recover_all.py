"""`baton recover --all`: several services of a host, none of which waits for another."""

import fcntl
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from kit import programs
from kit.deploys import deployed


@unittest.skipUnless(os.geteuid() == 0, "only root gives a process another /etc/baton")
class All(unittest.TestCase):
    """`baton recover --all`, as the host's start runs it."""

    def recover_all(self, etc):
        lay = f"mount -t overlay -o lowerdir={etc}:/etc overlay /etc"
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", f'{lay} || exit 99; exec "$0" recover --all', programs.path("baton")],
            capture_output=True, text=True, timeout=60)  # fmt: skip
        if done.returncode == 99:
            self.skipTest(f"no overlay here: {done.stderr}")
        return done

    def cut_off(self, deploy):
        deploy.deploy["build"] = [["sleep", "50"]]  # SLEEPS
        client = deploy.start("deploy", "--foreground")
        deploy.wait_said('"step":"build","phase":"began"')
        for pid in deploy.hosts():
            os.kill(pid, signal.SIGKILL)
        client.communicate(timeout=20)
        self.assertEqual(deploy.history()[0]["state"], "cut off")

    def test_each_service_is_put_right_whatever_becomes_of_the_others(self):
        with deployed() as one, deployed() as two, tempfile.TemporaryDirectory() as etc:
            pathlib.Path(etc).chmod(0o755)
            (pathlib.Path(etc) / "baton").mkdir()
            for name, deploy in (("one", one), ("two", two)):
                self.cut_off(deploy)
                (pathlib.Path(etc) / f"baton/{name}.toml").write_text(deploy.of.file.read_text())
            (pathlib.Path(etc) / "baton/broken.toml").write_text("[service\n")
            with open(one.directory / "deploys/lock", "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                done = self.recover_all(etc)
                self.assertEqual(done.returncode, 75, done.stderr)
                self.assertIn(f"the lock {one.directory}/deploys/lock is held", done.stderr)
                self.assertEqual([each.history()[0]["state"] for each in (one, two)], ["cut off", "failed"])
            done = self.recover_all(etc)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("two: nothing was left over", done.stdout)
            self.assertEqual(one.history()[0]["state"], "failed")


if __name__ == "__main__":
    unittest.main()
