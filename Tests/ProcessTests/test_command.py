"""The command `baton` against a running supervisor: results, exit codes, JSON."""

import json
import subprocess
import unittest

from kit import http, programs
from kit.supervisor import running, service


class Commands(unittest.TestCase):
    def test_status_is_one_screen_and_json_on_request(self):
        with running() as supervisor:
            shown = supervisor.baton("status")
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertIn("web", shown.stdout)
            self.assertLessEqual(len(shown.stdout.splitlines()), 40)
            self.assertEqual(json.loads(supervisor.baton("status", "--json").stdout)["serving"], 1)

    def test_reload_waits_for_the_verdict(self):
        with running() as supervisor:
            supervisor.of.engines["web"] = supervisor.of.web("--version-text", "two", "--start-delay", 300)
            supervisor.of.write()
            done = supervisor.baton("reload")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(http.ask(supervisor.of.port).release, "two")

    def test_a_refused_reload_exits_1_and_ends_with_three_lines(self):
        with running() as supervisor:
            supervisor.of.bad("answers-500")
            supervisor.of.write()
            done = supervisor.baton("reload")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("500", done.stderr)
            self.assertGreaterEqual(len(done.stderr.strip().splitlines()), 3)
            as_json = supervisor.baton("reload", "--json")
            self.assertEqual((as_json.returncode, json.loads(as_json.stdout.splitlines()[-1])["exitCode"]), (1, 1))

    def test_a_command_there_is_not_exits_64_and_names_the_nearest(self):
        for words in (("statu",), ("statu", "app", "--help")):
            done = subprocess.run([programs.path("baton"), *words], capture_output=True, text=True, timeout=20)
            self.assertEqual((done.returncode, done.stdout), (64, ""))
            self.assertIn('no command "statu"; did you mean "status"? (baton --help lists them)', done.stderr)

    def test_wrong_settings_exit_78(self):
        with running() as supervisor:
            supervisor.of.file.write_text("[service]\ncolour = 1\n")
            done = supervisor.baton("reload")
            self.assertEqual(done.returncode, 78, done.stderr)
            self.assertIn("colour", done.stderr)

    def test_scale(self):
        with running() as supervisor:
            self.assertEqual(supervisor.baton("scale", "web=4").returncode, 0)
            self.assertEqual(len(supervisor.pids()), 4)
            self.assertEqual(supervisor.baton("scale", "web").returncode, 64)

    def test_stop(self):
        with running() as supervisor:
            self.assertEqual(supervisor.baton("stop").returncode, 0)
            self.assertEqual(supervisor.wait(10), 0)

    def test_nobody_there_exits_69(self):
        with service() as made:
            done = subprocess.run(
                [programs.path("baton"), "status", "--control", str(made.folder / "control")], capture_output=True,
                text=True, timeout=20,
            )  # fmt: skip
            self.assertEqual(done.returncode, 69, done.stderr)

    def test_usage_exits_64(self):
        done = subprocess.run([programs.path("baton"), "relaod"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 64)
        self.assertIn("relaod", done.stderr)

    def test_the_starting_file_passes_the_check(self):
        with service() as made:
            file = made.folder / "new.toml"
            init = [
                programs.path("baton"), "init", "new", "--directory", str(made.app), "--output", str(file), "--user", "nobody",
                "--", "/bin/cat",
            ]  # fmt: skip
            done = subprocess.run(init, capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 0, done.stderr)
            check = subprocess.run([programs.path("baton"), "check", str(file)], capture_output=True, text=True, timeout=20)
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
            text = file.read_text()
            again = subprocess.run(init, capture_output=True, text=True, timeout=20)
            self.assertNotEqual(again.returncode, 0)
            self.assertEqual(file.read_text(), text, "what exists is not overwritten")
