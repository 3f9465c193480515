"""The commands of deploy from outside: exit codes, JSON, plans, Ctrl-C, who may. What a release goes through is elsewhere."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
import unittest

from kit import programs
from kit.deploys import deployed
from kit.waiting import wait_until

SLOW = [{"text": "slow", "run": ["sleep", "50"]}]
STUBBORN = [{"text": "stubborn", "run": ["sh", "-c", "trap '' TERM; echo began; i=0; while [ $i -lt 40 ]; do i=$((i+1)); sleep 0.1; done"]}]  # SLEEPS


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


class Refusal(unittest.TestCase):
    def test_what_is_refused_costs_nothing(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = [{"text": "the exchange answers", "run": ["sh", "-c", "echo no answer; exit 3"]}]
            done = deploy.baton("deploy", "--foreground")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertEqual([line[:7] for line in done.stderr.splitlines()[-3:]], ["baton: ", "holds: ", "next:  "])
            self.assertIn("the exchange answers", done.stderr)
            self.assertIn("| no answer", done.stderr)
            self.assertIn("nothing was begun", done.stderr)
            self.assertFalse((deploy.directory / "releases").exists())
            as_json = deploy.baton("deploy", "--foreground", "--json")
            verdict = json.loads(as_json.stdout)
            self.assertEqual((as_json.returncode, verdict["exitCode"], verdict["outcome"]), (1, 1, "refused"))
            self.assertEqual((verdict["step"], verdict["holds"]), ("preflight", "nothing was begun"))

    def test_a_window_is_respected_or_overridden_aloud(self):
        with deployed() as deploy:
            deploy.deploy["window"] = ["Mon 00:00-00:01"]
            deploy.deploy["checklist"] = [{"text": "stop here", "run": ["false"]}]
            looks = {each["check"]: each for each in json.loads(deploy.baton("preflight", "--json").stdout)["checks"]}
            if looks["window"]["state"] == "fine":
                self.skipTest("it is Monday, one minute past midnight at most")
            self.assertIn("closed", looks["window"]["what"])
            self.assertIn("--override-window", looks["window"]["next"])
            self.assertIn("window is closed", deploy.baton("deploy", "--foreground").stderr)
            done = deploy.baton("deploy", "--foreground", "--override-window")
            self.assertIn("overridden", done.stderr)
            self.assertNotIn("window is closed", done.stderr)

    def test_what_a_person_must_confirm_is_confirmed_aloud(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = [{"text": "the team knows"}, {"text": "stop here", "run": ["false"]}]
            self.assertIn("not confirmed: the team knows", deploy.baton("deploy", "--foreground").stderr)
            self.assertNotIn("not confirmed", deploy.baton("deploy", "--foreground", "--yes").stderr)

    def test_settings_without_deploy_exit_78(self):
        with deployed() as deploy:
            deploy.command("history")
            deploy.of.more = {}
            deploy.of.write()
            done = subprocess.run(
                [programs.path("baton"), "deploy", "--settings", str(deploy.of.file)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 78)
            self.assertIn("has no [deploy]", done.stderr)

    def test_the_command_line_is_checked(self):
        with deployed() as deploy:
            for words in (
                ["deploy", "--ref", "a", "--from", "b"], ["deploy", "--attach", "--detach"], ["deploy", "--wait", "long"],
                ["rollback", "--to", "a", "--to-commit", "b"], ["show"], ["show", "../x"], ["diff", "a"],
            ):  # fmt: skip
                self.assertEqual(deploy.baton(*words).returncode, 64, words)

    @unittest.skipIf(os.geteuid() != 0, "needs root, to be somebody else")
    def test_others_than_the_deploy_user_are_told_how(self):
        with deployed() as deploy:
            done = subprocess.run(
                deploy.command("deploy", "--foreground"), capture_output=True, text=True, user="nobody",
                env={"PATH": os.environ["PATH"]},
            )  # fmt: skip
            self.assertEqual(done.returncode, 77, done.stderr)
            self.assertIn("sudo -u root baton deploy", done.stderr)
            self.assertEqual(deploy.operations(), [])

    @unittest.skipIf(os.geteuid() != 0, "needs root, to become the deploy user")
    def test_root_becomes_the_deploy_user(self):
        with deployed() as deploy:
            deploy.deploy |= {"user": "nobody", "checklist": [{"text": "who", "run": ["sh", "-c", "id -un; exit 1"]}]}
            os.chown(deploy.directory, 65534, 65534)
            done = deploy.baton("deploy", "--foreground")
            self.assertIn("| nobody", done.stderr)
            for path in (deploy.directory / "deploys").rglob("*"):
                self.assertEqual(path.stat().st_uid, 65534, path)


class Plan(unittest.TestCase):
    def test_a_plan_changes_nothing(self):
        with deployed() as deploy:
            deploy.version("one")
            before = deploy.tree()
            done = deploy.baton("deploy", "--plan")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("nothing is", done.stdout)
            self.assertIn("interruption", done.stdout)
            self.assertEqual(deploy.tree(), before)
            plan = json.loads(deploy.baton("deploy", "--plan", "--json").stdout)
            self.assertEqual((plan["possible"], plan["kind"]), (True, "deploy"))
            self.assertEqual(plan["steps"][0]["step"], "preflight")
            self.assertEqual(deploy.tree(), before)

    def test_a_plan_says_what_would_refuse(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = [{"text": "no", "run": ["false"]}]
            done = deploy.baton("deploy", "--plan")
            self.assertEqual(done.returncode, 1)
            self.assertIn("it would be refused", done.stderr)

    def test_a_plan_shows_everything_that_would_refuse_and_goes_on(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = [{"text": "the exchange answers", "run": ["false"]}]
            deploy.deploy["window"] = ["Mon 00:00-00:01"]
            (deploy.directory / "current").mkdir()
            done = deploy.baton("deploy", "--plan", "--json")
            plan = json.loads(done.stdout)
            self.assertEqual((done.returncode, plan["possible"]), (1, False))
            said = [each["what"] for each in plan["refusals"]]
            for words in ("window is closed", "a link to a release is needed", "the exchange answers"):
                self.assertEqual(len([what for what in said if words in what]), 1, said)
            self.assertIn("activate", [each["step"] for each in plan["steps"]])
            text = deploy.baton("deploy", "--plan")
            for what in said:
                self.assertIn(what, text.stdout)

    def changes(self, deploy, *words):
        """What a plan says of files: (counts, path to kind)."""
        files = json.loads(deploy.baton("deploy", "--plan", "--json", *words).stdout)["files"]
        return (files["added"], files["removed"], files["changed"]), {each["path"]: each["change"] for each in files["list"]}

    def test_a_plan_says_which_files_change(self):
        with deployed() as deploy:
            deploy.commit({"old.txt": "old\n", "same.txt": "same\n", "pages/one": "1\n", "tool": "x\n"})
            self.assertEqual(self.changes(deploy)[0], (5, 0, 0))
            deploy.deployed()
            self.assertEqual(self.changes(deploy), ((0, 0, 0), {}))
            (deploy.repository / "tool").chmod(0o755)
            deploy.commit({"old.txt": None, "pages/one": "2\n", "pages/two": "2\n"})
            (deploy.repository / "tool").chmod(0o755)
            deploy.commit({})
            before = deploy.tree()
            wanted = {"old.txt": "removed", "pages/one": "content", "pages/two": "added", "tool": "mode"}
            self.assertEqual(self.changes(deploy), ((1, 1, 2), wanted))
            self.assertEqual(deploy.tree(), before)
            self.assertRegex(deploy.baton("deploy", "--plan").stdout, r"files +1 added, 1 removed, 2 changed")

    def test_a_plan_compares_a_directory_and_an_archive_as_well(self):
        with deployed() as deploy, tempfile.TemporaryDirectory(prefix="baton-plan-") as place:
            deploy.commit({"old.txt": "old\n", "same.txt": "same\n"})
            deploy.deployed()
            tree = pathlib.Path(place) / "tree"
            shutil.copytree(deploy.repository, tree, ignore=shutil.ignore_patterns(".git"))
            (tree / "old.txt").unlink()
            (tree / "new.txt").write_text("new\n")
            (tree / "same.txt").write_text("SAME\n")
            wanted = ((1, 1, 1), {"old.txt": "removed", "new.txt": "added", "same.txt": "content"})
            self.assertEqual(self.changes(deploy, "--from", tree), wanted)
            subprocess.run(["tar", "-C", tree, "-czf", f"{place}/tree.tgz", "."], check=True)
            self.assertEqual(self.changes(deploy, "--from", f"{place}/tree.tgz"), wanted)

    def test_a_plan_reads_the_migrations_of_the_commit(self):
        with deployed() as deploy:
            deploy.commit({"sql/0001-first.sql": "CREATE TABLE a (x);\n"})
            database = deploy.of.folder / "it.db"
            sqlite3.connect(database).close()
            deploy.more["migrate"] = {"directory": "sql", "database": f"sqlite://{database}"}
            before = database.read_bytes()
            plan = json.loads(deploy.baton("deploy", "--plan", "--json").stdout)
            self.assertEqual(plan["migrations"], ["0001-first.sql"], plan)
            self.assertEqual(database.read_bytes(), before)

    def test_a_plan_leaves_nothing_behind(self):
        with deployed() as deploy, tempfile.TemporaryDirectory(prefix="baton-plan-") as place:
            done = subprocess.run(
                deploy.command("deploy", "--plan"), capture_output=True, text=True,
                env=deploy.environment({"TMPDIR": place}))  # fmt: skip
            self.assertRegex(done.stdout, r"files +1 added")
            self.assertEqual(os.listdir(place), [])


class Following(unittest.TestCase):
    def test_the_first_interrupt_asks_for_an_orderly_end(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = SLOW
            client = deploy.start("deploy", "--foreground")
            deploy.wait_said("began")
            wait_until(lambda: deploy.hosts(), 5, "the process that works")
            client.send_signal(signal.SIGINT)
            _, said = client.communicate(timeout=20)
            self.assertEqual(client.returncode, 1, said)
            self.assertIn("orderly end", said)
            deploy.wait_idle()
            self.assertEqual([each["state"] for each in deploy.history()], ["aborted"])

    def test_the_second_leaves_it_alone_on_the_host(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = STUBBORN
            client = deploy.start("deploy", "--foreground")
            deploy.wait_said('"text":"began"')
            client.send_signal(signal.SIGINT)
            wait_until(lambda: client.stderr.readline().startswith("baton: asked"), 10, "the first to be heard")
            client.send_signal(signal.SIGINT)
            _, said = client.communicate(timeout=10)
            self.assertEqual(client.returncode, 130, said)
            self.assertIn("--attach", said)
            self.assertEqual(len(deploy.hosts()), 1)
            attached = deploy.baton("deploy", "--attach")
            self.assertEqual(attached.returncode, 1, attached.stderr)
            self.assertEqual(deploy.history()[0]["state"], "aborted")

    def test_closing_the_client_changes_nothing(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = [{"text": "slow", "run": ["sh", "-c", "echo began; sleep 1; exit 4"]}]  # SLEEPS
            client = deploy.start("deploy", "--foreground")
            deploy.wait_said('"text":"began"')
            os.killpg(client.pid, signal.SIGHUP)
            client.communicate(timeout=10)
            attached = deploy.baton("deploy", "--attach", "--json")
            verdict = json.loads(attached.stdout)
            self.assertEqual((attached.returncode, verdict["outcome"]), (1, "refused"), attached.stderr)
            self.assertIn("slow", verdict["what"])

    def test_detached_it_says_what_it_is_called(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = [{"text": "no", "run": ["false"]}]
            told = json.loads(deploy.baton("deploy", "--foreground", "--detach", "--json").stdout)
            deploy.wait_idle()
            self.assertEqual(deploy.history()[0]["operation"], told["operation"])

    def test_a_process_that_is_killed_needs_a_person_who_recovers(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = SLOW
            client = deploy.start("deploy", "--foreground")
            deploy.wait_said("began")
            for pid in deploy.hosts():
                os.kill(pid, signal.SIGKILL)
            _, said = client.communicate(timeout=20)
            self.assertEqual(client.returncode, 2, said)
            self.assertIn("baton recover", said)
            self.assertEqual(deploy.history()[0]["state"], "cut off")
            done = deploy.baton("recover", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(json.loads(done.stdout)["operations"]), 1)
            again = deploy.baton("recover")
            self.assertIn("nothing was left over", again.stdout)

    def test_json_lines_are_a_line_for_everything(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = [{"text": "no", "run": ["sh", "-c", "echo one; exit 1"]}]
            done = deploy.baton("deploy", "--foreground", "--json-lines")
            found = lines(done.stdout)
            self.assertEqual([each.get("kind") for each in found[:1]], ["step"])
            self.assertIn({"kind": "output", "text": "one"}, [{k: e.get(k) for k in ("kind", "text")} for e in found])
            self.assertEqual(found[-1]["outcome"], "refused")

    def test_two_at_once_and_one_waits(self):
        with deployed() as deploy:
            deploy.version("one")
            (deploy.directory / "deploys").mkdir()
            with open(deploy.directory / "deploys/lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                json.dump({"operation": "x-1", "act": "deploy", "who": "ann", "pid": 1, "since": 0, "boot": ""}, lock)
                lock.flush()
                refused = deploy.baton("deploy", "--foreground")
                self.assertEqual(refused.returncode, 75, refused.stderr)
                self.assertIn("ann", refused.stderr)
                waiting = deploy.start("deploy", "--foreground", "--wait", "30s")
                deploy.wait_said('"step":"lock","phase":"began"')
                self.assertIsNone(waiting.poll())
            _, said = waiting.communicate(timeout=30)
            self.assertNotEqual(waiting.returncode, 75, said)


class Requests(unittest.TestCase):
    def refused(self, change):
        with deployed() as deploy:
            deploy.deploy["checklist"] = [{"text": "no", "run": ["false"]}]
            deploy.baton("deploy", "--foreground")
            (name,) = deploy.operations()
            folder = deploy.directory / "deploys" / name
            again = folder.parent / "20261121T000000Z-abcd"
            again.mkdir()
            request = again / "request.json"
            request.write_text((folder / "request.json").read_text().replace(name, again.name))
            request.chmod(0o640)
            change(request)
            done = deploy.baton("run-operation", "--operation", again.name)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertFalse((again / "steps.jsonl").exists())
            return (again / "output.log").read_text()

    def test_one_that_others_may_write_is_not_taken(self):
        self.assertIn("EPERM", self.refused(lambda request: request.chmod(0o666)))

    @unittest.skipIf(os.geteuid() != 0, "needs root, to give a file away")
    def test_one_of_somebody_else_is_not_taken(self):
        self.assertIn("EPERM", self.refused(lambda request: os.chown(request, 65534, 65534)))

    def test_one_with_a_stranger_in_it_is_not_taken(self):
        def change(request):
            request.write_text(json.dumps({**json.loads(request.read_text()), "asRoot": True}))

        self.assertIn("no such parameter", self.refused(change))

    def test_one_that_is_a_link_or_a_pipe_is_not_taken(self):
        def link(request):
            request.rename(request.with_name("other"))
            request.symlink_to("other")

        self.assertIn("ELOOP", self.refused(link))

        def pipe(request):
            request.unlink()
            os.mkfifo(request)

        self.assertIn("not taken", self.refused(pipe))

    def test_one_of_another_operation_is_not_taken(self):
        def change(request):
            request.write_text(request.read_text().replace("-abcd", "-0000"))

        self.assertIn("it is of operation", self.refused(change))


class Secrets(unittest.TestCase):
    def test_they_are_masked_wherever_they_show_up(self):
        with deployed() as deploy:
            (deploy.of.folder / "secrets.env").write_text("TOKEN=correct-horse-battery\n")
            deploy.deploy |= {
                "secrets": [deploy.of.folder / "secrets.env"],
                "checklist": [{"text": "show", "run": ["sh", "-c", "echo it is $TOKEN; exit 1"]}],
            }  # fmt: skip
            done = deploy.baton("deploy", "--foreground")
            self.assertIn("it is ***", done.stderr)
            everything = done.stdout + done.stderr + deploy.baton("show", "last").stdout
            for path in deploy.directory.rglob("*"):
                if stat.S_ISREG(path.lstat().st_mode):
                    everything += path.read_bytes().decode(errors="replace")
            self.assertNotIn("correct-horse-battery", everything)


class Script(unittest.TestCase):
    """scripts/deploy.sh has the calling convention of the script it replaces."""

    def run_script(self, *arguments, name="deploy.sh", **environment):
        with deployed() as deploy:
            fake = deploy.of.folder / "baton"
            fake.write_text('#!/bin/sh\necho "$@"\nexit 5\n')
            fake.chmod(0o755)
            script = deploy.of.folder / name
            script.symlink_to(programs.ROOT / "scripts/deploy.sh")
            return subprocess.run(
                [str(script), *arguments], capture_output=True, text=True,
                env={"PATH": os.environ["PATH"], "BATON": str(fake), **environment},
            )  # fmt: skip

    def test_it_calls_baton_and_ends_as_it_does(self):
        done = self.run_script()
        self.assertEqual((done.stdout, done.returncode), ("deploy hotgo\n", 5))
        self.assertEqual(self.run_script(APP_NAME="shop", GIT_BRANCH="release").stdout, "deploy shop --ref release\n")
        self.assertEqual(self.run_script("--wait", "5m").stdout, "deploy hotgo --wait 5m\n")
        self.assertEqual(self.run_script(name="quick-update.sh").stdout, "deploy hotgo --quick\n")

    def test_it_says_what_it_does_not_look_at(self):
        self.assertIn("APP_DIR is not looked at", self.run_script(APP_DIR="/opt/x").stderr)
