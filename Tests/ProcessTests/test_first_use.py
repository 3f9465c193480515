"""What meets whoever deploys a service for the first time: each refusal has its remedy."""

import json
import os
import shutil
import socket
import subprocess
import unittest

from kit import programs
from kit.deploys import deployed


class FirstUse(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "only root gives files away")
    def test_a_repository_of_another_user_is_asked_from_the_first_time_on(self):
        with deployed() as deploy:
            for path in (deploy.repository, *deploy.repository.rglob("*")):
                os.lchown(path, 65534, 65534)
            looks = {each["check"]: each for each in json.loads(deploy.baton("preflight", "--json").stdout)["checks"]}
            self.assertEqual(looks["target"]["state"], "fine", looks["target"])
            done = deploy.baton("deploy", "--plan")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("health check passed", done.stdout, "nothing was asked")
            self.assertFalse((deploy.directory / "deploys").exists())

    @unittest.skipUnless(os.geteuid() == 0, "only root sees who listens")
    def test_doctor_takes_the_service_itself_for_no_stranger(self):
        with deployed() as deploy:

            def found():
                deploy.write()
                done = subprocess.run(
                    [programs.path("baton"), "doctor", "--settings", deploy.of.file, "--control", deploy.running.control, "--json"],
                    capture_output=True, text=True, timeout=30,
                )  # fmt: skip
                return {each["id"]: each["what"] for each in json.loads(done.stdout)["findings"]}

            self.assertNotIn("stranger", found())
            with socket.socket() as stranger:
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                stranger.bind(("127.0.0.1", deploy.of.port))
                stranger.listen()
                what = found()["stranger"]
            self.assertIn(f"(pid {os.getpid()}) listens on", what)
            self.assertNotIn("batond", what)

    def test_settings_of_a_first_use_have_their_remedies(self):
        with deployed() as deploy:

            def check():
                return subprocess.run(
                    [programs.path("baton"), "check", deploy.of.file], capture_output=True, text=True, timeout=20)

            deploy.write()
            (deploy.directory / "serve").unlink(missing_ok=True)
            done = check()
            self.assertEqual(done.returncode, 0, done.stderr)
            deploy.of.file.write_text(deploy.of.file.read_text().replace("./serve", "./brought"))
            done = check()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("baton deploy makes the first", done.stderr)
            shutil.rmtree(deploy.directory)
            self.assertIn(f"install -d -o {deploy.deploy['user']} {deploy.directory} makes it", check().stderr)


if __name__ == "__main__":
    unittest.main()
