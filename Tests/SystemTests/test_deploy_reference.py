"""What the script that baton replaces got wrong, row by row of docs/deploy-pitfalls.md: baton does not have it."""

import os
import stat
import unittest

from kit.deploying import DIRECTORY, USER, deployed
from kit.runner import either_base, within
from kit.waiting import wait_until


def tree(it, release):
    """Every path of a release, with its kind and mode."""
    text = it.machine.run("find", f"{DIRECTORY}/releases/{release}", "-printf", "%P %y %m\\n").stdout
    return sorted(text.splitlines())


def archive_names(it, name):
    return it.machine.run("sh", "-c", f"zstd -dc {DIRECTORY}/backups/{name} | tar -t").stdout.splitlines()


@either_base
@within(300)
class Building(unittest.TestCase):
    def test_A1_a_build_that_fails_takes_nothing_from_the_old_release(self):
        with deployed() as it:
            it.first("v1")
            before = tree(it, it.current)
            it.broken_version()
            it.fails()
            self.assertEqual(tree(it, it.current), before)
            it.systemctl("restart")
            self.assertEqual(it.answered_by(), "v1")

    def test_A2_one_that_is_killed_in_its_build_neither(self):
        with deployed() as it:
            it.first("v1")
            it.deploy["build"].append(["sleep", "20"])
            it.write()
            before, operations = tree(it, it.current), it.operations()
            it.version("v2")
            client = it.begin()
            it.wait_step("intends", "build", besides=operations)
            it.kill_deploy()
            client.communicate(timeout=60)
            self.assertEqual(tree(it, it.current), before)
            it.systemctl("restart")
            self.assertEqual(it.answered_by(), "v1")

    def test_A15_A17_a_build_is_the_deploy_users_and_has_limits(self):
        with deployed() as it:
            it.first("v1")
            owners = it.machine.run("find", f"{DIRECTORY}/releases", "!", "-user", USER).stdout
            self.assertEqual(owners, "")
            for name in ("MemoryMax", "MemoryHigh", "TasksMax"):
                self.assertNotIn(it.machine.property(it.deploy_unit, name), ("infinity", ""))
            self.assertEqual(it.machine.property(it.deploy_unit, "CPUWeight"), "20")
            self.assertEqual(it.machine.property(it.deploy_unit, "User"), USER)

    def test_A16_the_commit_is_resolved_once(self):
        with deployed() as it:
            it.deploy["build"].append(["sleep", "2"])
            it.first("v1")
            operations = it.operations()
            commit = it.version("v2")
            client = it.begin()
            it.wait_step("intends", "build", besides=operations)
            it.version("v3")
            self.assertEqual(client.wait(60), 0)
            self.assertEqual(it.answered_by(), "v2")
            self.assertIn(commit[:7], it.current)

    def test_A22_what_it_prints_has_no_colours_where_no_terminal_is(self):
        with deployed() as it:
            it.version("v1")
            done = it.deploys("--no-rollback")
            self.assertNotIn("\x1b", done.stdout + done.stderr)

    def test_Q1_a_quick_update_fails_when_its_build_fails(self):
        with deployed() as it:
            it.first("v1")
            old = it.current
            it.broken_version()
            it.fails("--quick")
            self.assertEqual((it.current, it.answered_by()), (old, "v1"))
            it.version("v2")
            it.deploys("--quick")
            self.assertEqual(it.answered_by(), "v2")


@either_base
@within(300)
class Backups(unittest.TestCase):
    def test_A10_A11_A12_a_backup_is_whole_and_nobody_elses(self):
        with deployed() as it:
            it.deploy["shared"] = ["logs"]
            for name in ("src/logs/format.c", "vendor/tmp/list.txt", "notes.log"):
                it.repository.write(name, "kept\n")
            it.first("v1")
            # Somebody writes into what is shared all the time, as a busy program does.
            it.machine.run(
                "systemd-run", "--quiet", "--unit=writer", "sh", "-c",
                f"while :; do echo line >>{DIRECTORY}/shared/logs/busy.log; done")  # fmt: skip
            it.version("v2")
            it.deploys()
            it.machine.run("systemctl", "kill", "writer")
            backups = [name for name in it.names("backups") if name.endswith(".tar.zst")]
            self.assertEqual(len(backups), 1)
            names = "\n".join(archive_names(it, backups[0]))
            for name in ("src/logs/format.c", "vendor/tmp/list.txt", "notes.log"):
                self.assertIn(name, names)
            folder = os.stat(it.machine.path(f"{DIRECTORY}/backups"))
            file = os.stat(it.machine.path(f"{DIRECTORY}/backups/{backups[0]}"))
            self.assertEqual((stat.S_IMODE(folder.st_mode), stat.S_IMODE(file.st_mode)), (0o700, 0o600))

    def test_A5_A9_a_backup_that_is_cut_off_is_never_gone_back_to(self):
        with deployed() as it:
            it.first("v1")
            it.version("v2")
            it.deploys()
            name = next(each for each in it.names("backups") if each.endswith(".tar.zst"))
            file = it.machine.path(f"{DIRECTORY}/backups/{name}")
            os.truncate(file, os.stat(file).st_size // 2)
            pid = it.pid()
            done = it.run("rollback", "demo", "--to-backup", name, check=False)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertEqual((it.answered_by(), it.pid()), ("v2", pid))

    def test_A8_failing_runs_never_push_the_last_good_one_out(self):
        with deployed() as it:
            it.deploy["keep"] = 1
            it.backup["keep"] = 1
            it.first("v1")
            good = it.current
            it.broken_version()
            for _ in range(4):
                it.fails()
            self.assertEqual((it.current, it.answered_by()), (good, "v1"))
            self.assertIn(good, it.names("releases"))


@either_base
@within(300)
class GoingBack(unittest.TestCase):
    def test_A6_A24_what_the_new_version_added_is_gone_and_what_it_removed_is_back(self):
        with deployed() as it:
            it.repository.write("removed-later.txt", "old\n")
            it.first("v1")
            before = tree(it, it.current)
            it.repository.write("newfile.txt", "new\n")
            it.repository.remove("removed-later.txt")
            it.version("v2")
            it.deploys()
            it.run("rollback", "demo")
            self.assertEqual(tree(it, it.current), before)
            self.assertEqual(it.answered_by(), "v1")

    def test_A7_back_means_the_last_good_one_whatever_files_say(self):
        with deployed() as it:
            it.first("v1")
            good = it.current
            for misbehaviour in ("answers-500", "exits-at-start=9"):
                it.bad_version(misbehaviour)
                it.fails()
            it.version("v2")
            it.deploys()
            # Whatever was touched last is nobody's business.
            it.machine.run("sh", "-c", f"touch {DIRECTORY}/releases/* {DIRECTORY}/backups/*; touch -d 2001-01-01 {DIRECTORY}/releases/{good}")
            it.run("rollback", "demo")
            self.assertEqual((it.current, it.answered_by()), (good, "v1"))

    def test_A13_names_are_unique_whatever_the_second(self):
        with deployed() as it:
            it.version("v1")
            for _ in range(3):
                it.deploys("--no-rollback")
            names = [each["release"] for each in it.releases()["releases"]]
            self.assertEqual(len(names), 3)
            self.assertEqual(len(names), len(set(names)))
            self.assertEqual(len(it.operations()), 3)


@either_base
@within(300)
class Checking(unittest.TestCase):
    def test_A19_a_health_check_that_hangs_ends_in_time(self):
        with deployed() as it:
            it.first("v1")
            old = it.current
            it.health["check"][0] |= {"url": f"http://127.0.0.1:{it.port}/slow?ms=60000", "timeout": "500ms"}
            it.health["deadline"] = "3s"
            it.write()
            it.version("v2")
            with it.load() as load:
                it.fails(within=40)
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual((it.current, it.answered_by()), (old, "v1"))

    def test_A20_one_that_dies_after_the_check_is_noticed_and_taken_back(self):
        with deployed() as it:
            it.bake = {"for": "4s", "interval": "200ms"}
            it.first("v1")
            old = it.current
            it.bad_version("dies-after-ready=1500")
            it.fails()
            self.assertEqual(it.current, old)
            wait_until(lambda: it.answered_by() == "v1", 10)

    def test_A14_settings_of_production_are_no_part_of_the_tree(self):
        """What is edited on the host lies in shared/ and survives every release."""
        with deployed() as it:
            it.deploy["shared"] = ["config.ini"]
            it.repository.write("config.ini", "db=dev\n")
            it.first("v1")
            it.machine.write(f"{DIRECTORY}/shared/config.ini", "db=PROD\n")
            for name in ("v2", "v3"):
                it.version(name)
                it.deploys()
                self.assertEqual(it.machine.read(f"{DIRECTORY}/current/config.ini"), "db=PROD\n")
