"""Whole deploys from outside: a real repository, batond in the foreground, clients that must not notice."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import unittest

from kit import http
from kit.deploys import deployed, git
from kit.load import Load
from kit.runner import within
from kit.waiting import wait_until


def answer(deploy):
    return http.ask(deploy.of.port).release


def releases(deploy):
    return {each["release"]: each for each in json.loads(deploy.baton("releases", "--json").stdout)["releases"]}


@within(120)
class Deploys(unittest.TestCase):
    def test_releases_follow_each_other_and_no_client_notices(self):
        with deployed() as deploy:
            with Load(deploy.of.port, 200, "--connections", 8) as load:
                first = deploy.deployed()
                self.assertEqual((answer(deploy), deploy.current), ("one", first["release"]))
                commit = deploy.version("two")
                second = deploy.deployed()
                self.assertEqual((answer(deploy), deploy.current), ("two", second["release"]))
                self.assertEqual((second["commit"], second["previous"]), (commit, first["release"]))
            self.assertEqual(load.report.failed, 0, load.report)
            found = releases(deploy)
            self.assertEqual({each["verdict"] for each in found.values()}, {"good"})
            self.assertTrue(found[second["release"]]["current"])
            changes = json.loads(deploy.baton("diff", first["release"], "current", "--json").stdout)
            self.assertEqual([each["path"] for each in changes["files"]], ["serve"])

    def test_a_broken_build_leaves_the_old_release_serving(self):
        with deployed() as deploy:
            first = deploy.deployed()
            deploy.version("two")
            deploy.deploy["build"] = [["sh", "-c", "echo first; echo it is broken >&2; exit 3"]]
            with Load(deploy.of.port, 200) as load:
                done = deploy.baton("deploy", "--foreground")
            self.assertEqual((done.returncode, load.report.failed), (1, 0), done.stderr)
            self.assertIn("| it is broken", done.stderr)
            self.assertIn("serves as before", done.stderr)
            self.assertEqual((answer(deploy), deploy.current), ("one", first["release"]))
            self.assertEqual(list(releases(deploy)), [first["release"]], "what was half made is gone")

    def test_a_version_that_fails_its_proof_meets_no_client(self):
        with deployed() as deploy:
            first = deploy.deployed()
            deploy.version("two", "--misbehave", "answers-500", "--count-file", deploy.of.bad_counts)
            with Load(deploy.of.port, 200) as load:
                done = deploy.baton("deploy", "--foreground", "--json")
            verdict = json.loads(done.stdout)
            self.assertEqual((done.returncode, verdict["outcome"], verdict["step"]), (1, "failed", "activate"), done.stderr)
            self.assertEqual((load.report.failed, answer(deploy), deploy.current), (0, "one", first["release"]))

    def test_back_again_and_not_any_further(self):
        with deployed() as deploy:
            first = deploy.deployed()
            deploy.version("two")
            second = deploy.deployed()
            done = deploy.baton("rollback", "--foreground", "--json")
            verdict = json.loads(done.stdout)
            self.assertEqual((done.returncode, verdict["release"]), (0, first["release"]), done.stderr)
            self.assertEqual((answer(deploy), deploy.current), ("one", first["release"]))
            self.assertEqual(releases(deploy)[second["release"]]["verdict"], "bad")
            again = deploy.baton("rollback", "--foreground")
            self.assertEqual(again.returncode, 1)
            self.assertIn("no release to go back to", again.stderr)
            bad = deploy.baton("rollback", "--foreground", "--to", second["release"])
            self.assertIn("marked bad", bad.stderr)
            self.assertEqual(answer(deploy), "one")

    def test_nobody_goes_back_past_a_database_that_cannot_be_asked_unless_it_is_said_aloud(self):
        with deployed() as deploy:
            first = deploy.deployed()
            deploy.version("two")
            second = deploy.deployed()
            backups = json.loads(deploy.baton("backup", "list", "--json").stdout)["archives"]
            deploy.more["migrate"] = {"directory": "sql", "database": "postgres://127.0.0.1:1/nobody"}
            for words in ([], ["--to", first["release"]], ["--to-backup", backups[0]["archive"]]):
                done = deploy.baton("rollback", "--foreground", *words)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("whether the database still fits", done.stderr)
                self.assertIn("--without-database goes back all the same", done.stderr)
                self.assertEqual((answer(deploy), deploy.current), ("two", second["release"]))
            done = deploy.baton("rollback", "--foreground", "--without-database")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("gone back to all the same", done.stderr)
            self.assertEqual((answer(deploy), deploy.current), ("one", first["release"]))

    def test_nobody_goes_back_to_what_was_never_proved_or_is_bad(self):
        with deployed() as deploy:
            made, commits = [], []
            for name in ("one", "two", "three"):
                commits.append(deploy.version(name))
                made.append(deploy.deployed()["release"])
            unknown = "20260101T000000Z-none-abcd"
            shutil.copytree(deploy.directory / "releases" / made[0], deploy.directory / "releases" / unknown)
            found = json.loads(deploy.baton("backup", "list", "--json").stdout)["archives"]
            archive = next(each["archive"] for each in found if each["release"] == made[1])
            for target in made[1], made[0]:
                self.assertEqual(deploy.baton("rollback", "--foreground", "--to", target).returncode, 0)
            for words, what, remedy in (
                (["--to", unknown], "was never proved", "baton releases"),
                (["--to", made[1]], "marked bad", f"baton deploy --ref {commits[1][:12]}"),
                (["--to-backup", archive], "marked bad", "baton backup list"),
            ):  # fmt: skip
                done = deploy.baton("rollback", "--foreground", *words)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(what, done.stderr)
                self.assertIn(remedy, done.stderr)
                self.assertEqual((answer(deploy), deploy.current), ("one", made[0]))

    def test_whoever_recovers_knows_that_a_supervisor_proves_releases(self):
        with deployed() as deploy:
            deploy.deployed()
            deploy.version("two")
            deploy.deployed()
            deploy.baton("rollback", "--foreground")
            for name in deploy.operations():
                began = json.loads((deploy.directory / "deploys" / name / "steps.jsonl").read_text().splitlines()[0])
                self.assertTrue(began["intent"]["steered"], began)

    def test_a_damaged_release_comes_back_from_its_archive(self):
        with deployed() as deploy:
            first = deploy.deployed()
            deploy.version("two")
            deploy.deployed()
            damaged = deploy.directory / "releases" / first["release"] / "serve"
            damaged.chmod(0o755)
            damaged.write_text("#!/bin/sh\nexit 1\n")
            done = deploy.baton("rollback", "--foreground")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("unpacked from", done.stderr)
            self.assertEqual(answer(deploy), "one")

    def test_back_to_a_commit(self):
        with deployed() as deploy:
            first = deploy.deployed()
            deploy.version("two")
            deploy.deployed()
            done = deploy.baton("rollback", "--foreground", "--to-commit", first["commit"][:10])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(deploy.current, first["release"])

    def test_what_was_built_elsewhere_is_deployed_the_same_way(self):
        with deployed() as deploy:
            folder = deploy.of.folder / "built"
            folder.mkdir()
            for name, words in (
                ("directory", lambda: ["--from", folder]), ("archive", lambda: ["--from", self.archive(folder)]),
            ):  # fmt: skip
                (folder / "serve").write_text(deploy.program("--version-text", name))
                (folder / "serve").chmod(0o755)
                deploy.deployed(*words())
                self.assertEqual(answer(deploy), name)
            (folder / "serve").write_text(deploy.program("--version-text", "stdin"))
            with open(self.archive(folder), "rb") as archive:
                done = deploy.baton("deploy", "--foreground", "--from", "-", stdin=archive)
            self.assertEqual((done.returncode, answer(deploy)), (0, "stdin"), done.stderr)

    def test_the_one_directory_at_the_top_of_an_archive_is_left_out(self):
        with deployed() as deploy:
            path = deploy.of.folder / "forge.tar.gz"
            git(deploy.repository, "archive", "--format=tar.gz", "--prefix=shop-1.2/", f"--output={path}", "HEAD")
            done = deploy.baton("deploy", "--foreground", "--from", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("all of", done.stderr)
            self.assertIn("lies below shop-1.2/: the release begins there", done.stderr)
            self.assertEqual(sorted(os.listdir(deploy.directory / "current")), ["serve"])
            # One that the settings name paths in is the tree's own.
            deploy.commit({"bin/serve": (deploy.repository / "serve").read_text(), "serve": None})
            git(deploy.repository, "archive", "--format=tar.gz", f"--output={path}", "HEAD")
            deploy.deploy["artifacts"] = ["bin/serve"]
            plan = deploy.baton("deploy", "--plan", "--from", path, "--json")
            self.assertEqual(json.loads(plan.stdout)["files"]["list"][0]["path"], "bin/serve")

    def archive(self, folder):
        path = folder.parent / "built.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder / "serve", "serve")
        return path

    def test_back_while_the_service_is_down_and_the_ledger_is_lost(self):
        with deployed() as deploy:
            first = deploy.deployed("--quick")["release"]
            deploy.version("two")
            second = deploy.deployed("--quick")["release"]
            for path in (deploy.directory / "deploys").glob("ledger.db*"):
                path.unlink()
            deploy.running.end()
            done = deploy.baton("rollback", "--foreground")
            # Nobody runs it here; what is known of releases is known all the same.
            found = {each["release"]: each["verdict"] for each in json.loads(deploy.baton("releases", "--json").stdout)["releases"]}
            self.assertEqual((done.returncode, deploy.current, found), (1, second, {first: "good", second: "good"}), done.stderr)
            deploy.running.start().wait_serving()
            done = deploy.baton("rollback", "--foreground")
            self.assertEqual((done.returncode, deploy.current), (0, first), done.stderr)
            self.assertEqual(answer(deploy), "one")

    def test_a_trial_is_part_of_a_deploy(self):
        """Clients meet the new release for a share first; one that fails then is taken back before the rest does."""

        def trial(deploy):
            deploy.of.handover["trial"] = {"share": "50%", "for": "1s"}

        with deployed(trial) as deploy:
            deploy.deployed("--quick")
            deploy.version("two")
            began = time.monotonic()
            second = deploy.deployed("--quick")["release"]
            self.assertGreater(time.monotonic() - began, 1)
            self.assertEqual((deploy.current, answer(deploy)), (second, "two"))
            deploy.version("three", "--misbehave", "dies-after-ready=300")
            done = deploy.baton("deploy", "--foreground", "--quick")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertEqual((deploy.current, answer(deploy)), (second, "two"))

    def test_prune_keeps_what_is_needed(self):
        with deployed() as deploy:
            deploy.deploy["keep"] = 1
            made = []
            for name in ("one", "two", "three", "four", "five"):
                deploy.version(name)
                made.append(deploy.deployed("--quick")["release"])
            self.assertEqual(set(releases_there(deploy)), set(made[-3:]), "current, the way back, and one more")
            plan = json.loads(deploy.baton("prune", "--dry-run", "--json").stdout)
            self.assertEqual((plan["removed"], plan["releases"]), (False, []))
            self.assertEqual(deploy.baton("rollback", "--foreground").returncode, 0)
            self.assertEqual(answer(deploy), "four")

    def test_prune_takes_what_nothing_needs_any_more(self):
        with deployed() as deploy:
            deploy.deploy |= {"keep": 1}
            deploy.more["backup"] = {"keep": 1}
            made = []
            for name in ("one", "two", "three"):
                deploy.version(name)
                made.append(deploy.deployed())
            deploys, backups = deploy.directory / "deploys", deploy.directory / "backups"
            (deploys / "sources/20260101T000000Z-none-0000").write_text("left over")
            (deploys / "modules/0123456789abcdef.git").mkdir(parents=True)
            (deploys / "mirror.git.broken").mkdir()
            copies = [f"{each['operation']}-app.db" for each in made]
            for name in [f"20260101T00000{number}Z-abcd-app.db" for number in range(3)] + copies:
                (backups / name).write_text("a database")
            (backups / "mine.db").write_text("a person's")
            plan = json.loads(deploy.baton("prune", "--dry-run", "--json").stdout)
            self.assertEqual({path.rpartition("/")[2] for path in plan["leftovers"]}, {"20260101T000000Z-none-0000", "0123456789abcdef.git"})
            self.assertTrue((deploys / "modules/0123456789abcdef.git").exists())
            deploy.baton("prune")
            self.assertEqual(sorted(path.name for path in (deploys / "sources").iterdir()),
                             sorted(releases_there(deploy)))  # fmt: skip
            self.assertEqual(list((deploys / "modules").iterdir()), [])
            self.assertTrue((deploys / "mirror.git.broken").exists(), "a week is there to look at it")
            left = {path.name for path in backups.glob("*.db")}
            self.assertTrue({*copies[1:], "mine.db"} <= left, "of what serves and of the way back, and what is not ours")
            self.assertEqual(len(left - {*copies[1:], "mine.db"}), 1, left)

    def test_prune_does_not_wait_for_what_drains(self):
        with deployed() as deploy:
            deploy.deploy["keep"] = 1
            # Four deploys fit into it on any machine.
            deploy.of.engines["web"]["stop-timeout"] = "60s"
            first = deploy.deployed("--quick")["release"]
            with socket.create_connection(("127.0.0.1", deploy.of.port)) as client:
                # Taken by the first release, which drains as long as this one is not answered.
                client.sendall(b"GET /slow?ms=50000 HTTP/1.1\r\nHost: x\r\n\r\n")  # SLEEPS
                made = []
                for name in ("two", "three", "four", "five"):
                    deploy.version(name)
                    made.append(deploy.deployed("--quick")["release"])
                there = set(releases_there(deploy))
                self.assertIn(first, there, "it still answers somebody")
                environment = deploy.environment({"BATON_CONTROL": str(deploy.running.control)})

                def listed(*words):
                    return subprocess.run(
                        deploy.command("releases", *words), env=environment, capture_output=True, text=True, timeout=60,
                    ).stdout  # fmt: skip

                found = json.loads(listed("--json"))["releases"]
                self.assertEqual({each["release"] for each in found if each["running"]}, {first, made[-1]})
                self.assertIn("still runs", listed())
                self.assertIn(f"(release {first})", deploy.running.baton("status").stdout)
                self.assertNotIn(made[0], there, "nobody runs this one")

    def test_a_plan_of_a_second_release_changes_nothing(self):
        with deployed() as deploy:
            deploy.deployed()
            deploy.version("two")
            before = deploy.tree()
            plan = json.loads(deploy.baton("deploy", "--plan", "--json").stdout)
            self.assertTrue(plan["possible"], plan)
            self.assertEqual([each["step"] for each in plan["steps"]][-1], "prune")
            self.assertEqual((deploy.tree(), answer(deploy)), (before, "one"))

    def test_a_kill_in_the_middle_is_undone_by_the_next(self):
        with deployed() as deploy:
            first = deploy.deployed()
            deploy.version("two")
            deploy.deploy["build"] = [["sleep", "50"]]  # SLEEPS
            client = deploy.start("deploy", "--foreground")
            wait_until(lambda: len(deploy.operations()) == 2, 10, "the second operation")
            deploy.wait_said('"step":"build","phase":"began"')
            for pid in deploy.hosts():
                os.kill(pid, 9)
            self.assertEqual(client.wait(20), 2)
            client.communicate()
            self.assertEqual((answer(deploy), deploy.current), ("one", first["release"]))
            deploy.deploy["build"] = []
            second = deploy.deployed()
            self.assertEqual((answer(deploy), deploy.current), ("two", second["release"]))
            self.assertEqual([each["state"] for each in deploy.history()], ["good", "failed", "good"])
            left = subprocess.run(["find", str(deploy.directory), "-name", ".tmp-*"], capture_output=True, text=True).stdout
            self.assertEqual(left, "")

    def test_a_bake_that_goes_on_after_the_last_word_does_not_hide_it(self):
        with deployed() as deploy:
            deploy.bake = {"for": "30s", "interval": "100ms"}
            done = deploy.baton("deploy", "--foreground", "--detach-bake")
            self.assertEqual(done.returncode, 0, done.stderr)
            baking = deploy.start("recover", "--bake")
            deploy.wait_said('"step":"bake","phase":"began"')
            baking.kill()
            baking.communicate()
            done = deploy.baton("deploy", "--attach")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("bake is still to come", done.stdout)

    def test_who_follows_leaves_when_the_other_has_ended_and_not_at_its_last_word(self):
        """Whoever asks next, right after us, is not to find it busy."""
        with deployed() as deploy:
            deploy.deployed()
            records = deploy.directory / "deploys" / deploy.operations()[-1] / "steps.jsonl"
            with open(records) as file:
                # As the process that works does until it ends.
                fcntl.flock(file, fcntl.LOCK_EX)
                client = deploy.start("deploy", "--attach")
                with self.assertRaises(subprocess.TimeoutExpired, msg="it left at the last word"):
                    client.wait(2)
                fcntl.flock(file, fcntl.LOCK_UN)
                _, said = client.communicate(timeout=20)
                self.assertEqual(client.returncode, 0, said)
                # One that never ends is not waited for for ever.
                fcntl.flock(file, fcntl.LOCK_EX)
                began = time.monotonic()
                self.assertEqual(deploy.baton("deploy", "--attach").returncode, 0)
                self.assertLess(4, time.monotonic() - began)


def releases_there(deploy):
    return [path.name for path in (deploy.directory / "releases").iterdir() if path.is_dir()]
