"""Where it may not write, where nothing fits any more, and who it runs as."""

import os
import pwd
import signal
import subprocess
import unittest

from kit import fixtures, http, proc
from kit.load import Load
from kit.supervisor import Supervisor, running, service
from kit.waiting import wait_until

ROOT = os.geteuid() == 0
AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all"]


@unittest.skipUnless(ROOT, "needs root to become somebody else")
class Unprivileged(unittest.TestCase):
    def test_all_of_it_works_as_an_ordinary_user(self):
        with service(user="nobody") as made, Supervisor(made, prefix=AS_NOBODY) as supervisor:
            self.assertEqual(proc.status(supervisor.pid)["Uid"].split()[0], str(pwd.getpwnam("nobody").pw_uid))
            with Load(made.port, 300) as load:
                made.engines["web"] = made.web("--version-text", "two")
                self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(http.ask(made.port).release, "two")

    def test_a_bad_version_meets_nobody_there_either(self):
        with service(user="nobody") as made, Supervisor(made, prefix=AS_NOBODY) as supervisor:
            with Load(made.port, 300) as load:
                made.bad("answers-500")
                supervisor.refused()
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(fixtures.counts(made.bad_counts)["clients"], 0)

    def test_directories_may_be_given_from_where_one_stands(self):
        with service() as made:
            # It is started in /.
            run, state = (str(made.folder / name).lstrip("/") for name in ("run", "state"))
            with Supervisor(made, arguments=["--runtime-directory", run, "--state-directory", state]) as supervisor:
                self.assertEqual(supervisor.reload()["outcome"], "done")

    def test_an_engine_of_another_user_is_refused_with_the_reason(self):
        with service(user="nobody") as made:
            made.service["user"] = "root"
            supervisor = Supervisor(made, prefix=AS_NOBODY).start()
            try:
                self.assertEqual(supervisor.wait(20), 78)
                self.assertRegex(supervisor.log(), 'toml:\\d+:\\d+: .*user is "root", and batond runs as nobody')
            finally:
                supervisor.process.kill()


@unittest.skipUnless(ROOT, "needs root to become somebody else")
class Users(unittest.TestCase):
    def test_workers_run_as_the_user_of_the_settings(self):
        def as_nobody(made):
            made.service["user"] = "nobody"
            made.engines["web"] = made.web("--report-process", made.folder / "open" / "report.json", workers=1)
            for each in (made.folder / "open", made.folder / "stamps", made.folder / "counts"):
                each.mkdir() if each.name == "open" else each.touch()
                each.chmod(0o777)

        with running(as_nobody) as supervisor:
            report = fixtures.inherited(supervisor.of.folder / "open" / "report.json")
            nobody = pwd.getpwnam("nobody")
            self.assertEqual((report["uid"], report["gid"]), (nobody.pw_uid, nobody.pw_gid))
            self.assertEqual(int(report["status"]["CapEff"], 16), 0)
            self.assertEqual(report["status"]["Groups"].split(), [str(nobody.pw_gid)])

    def test_limits_are_set(self):
        def limited(made):
            made.engines["web"]["limits"] = {"nofile": "100:200"}

        with running(limited) as supervisor:
            limits = open(f"/proc/{supervisor.pids()[0]}/limits").read()
            line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
            self.assertEqual(line.split()[3:5], ["100", "200"])


@unittest.skipUnless(ROOT, "needs root to mount a small file system")
class Disk(unittest.TestCase):
    def small(self, supervisor):
        """A state directory with room for almost nothing."""
        supervisor.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "baton-test", str(supervisor.state)], check=True)

    def fill(self, supervisor):
        with open(supervisor.state / "fill", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def test_a_full_disk_stops_nothing_and_is_told(self):
        with service() as made:
            supervisor = Supervisor(made)
            self.small(supervisor)
            try:
                with supervisor:
                    self.fill(supervisor)
                    with Load(made.port, 200) as load:
                        for _ in range(3):
                            made.engines["web"]["environment"] = {"ROUND": os.urandom(4).hex()}
                            self.assertEqual(supervisor.reload()["outcome"], "done")
                        os.kill(supervisor.pids()[0], signal.SIGKILL)
                        wait_until(lambda: len(supervisor.pids()) == 2, 10)
                    self.assertLessEqual(load.report.failed, 5, load.report)
                    self.assertRegex(supervisor.log(), r"No space left|ENOSPC|disk is full|database or disk is full")
                    status, _ = supervisor.stop()
                    self.assertEqual(status, 0)
            finally:
                subprocess.run(["umount", str(supervisor.state)], check=True)

    def test_a_state_directory_it_may_not_write_costs_the_history_and_is_told(self):
        with service(user="nobody") as made:
            supervisor = Supervisor(made, prefix=AS_NOBODY)
            supervisor.state.mkdir(mode=0o700)
            with supervisor:
                self.assertEqual(http.ask(made.port).status, 200)
                supervisor.wait_for_log(str(supervisor.state))
                self.assertRegex(supervisor.log(), r"[Pp]ermission denied|EACCES")

    def test_a_runtime_directory_it_may_not_write_is_one_clear_error(self):
        with service(user="nobody") as made:
            supervisor = Supervisor(made, prefix=AS_NOBODY)
            supervisor.runtime.mkdir(mode=0o700)
            supervisor.start()
            try:
                self.assertNotEqual(supervisor.wait(20), 0)
                self.assertIn(str(supervisor.runtime), supervisor.log())
            finally:
                supervisor.process.kill()
