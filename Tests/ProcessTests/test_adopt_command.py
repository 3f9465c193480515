"""`baton adopt` from outside: its plan, its health check, and what its records say once it is undone."""

import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import unittest

from kit import programs


class Service:
    """A tree that something runs from in place; it answers as `status` says, a function."""

    def __init__(self, folder, port):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o755)
        self.app = self.folder / "app"
        self.tree = self.app / "server"
        (self.tree / "logs").mkdir(parents=True)
        (self.tree / "main").write_text("#!/bin/sh\n")
        self.settings = self.folder / "app.toml"
        self.settings.write_text(
            f'[service]\nuser = "nobody"\ndirectory = "{self.app}"\n[engine.web]\ncommand = ["{self.tree}/main"]\n'
            f'[deploy]\nuser = "daemon"\nunit = "app.service"\nshared = ["logs"]\ntree = "{self.tree}"\n'
            f'[health]\nurl = "http://127.0.0.1:{port}/"\npasses = 1\ninterval = "20ms"\ndeadline = "1s"\n'
        )

    def baton(self, *words):
        return subprocess.run(
            [programs.path("baton"), *words, "--settings", str(self.settings)], capture_output=True, text=True, timeout=60)

    def picture(self):
        return {
            str(path.relative_to(self.folder)): (path.lstat().st_uid, path.lstat().st_mode)
            for path in self.folder.rglob("*") if not path.name.endswith(("-shm", "-wal"))
        }  # fmt: skip


@contextlib.contextmanager
def service(status=lambda tree: 200):
    with tempfile.TemporaryDirectory(prefix="baton-adopt-") as folder:

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status(pathlib.Path(folder) / "app/server"))
                self.end_headers()

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield Service(folder, server.server_address[1])
            server.shutdown()


@unittest.skipUnless(os.geteuid() == 0, "adopting needs root")
class Adopt(unittest.TestCase):
    def test_a_plan_says_all_and_changes_nothing(self):
        with service() as it:
            before = it.picture()
            done = it.baton("adopt", "--plan")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, rf"exchange +{it.tree}")
            plan = json.loads(it.baton("adopt", "--plan", "--json").stdout)
            self.assertEqual((plan["possible"], plan["kind"]), (True, "adopt"))
            self.assertEqual(it.picture(), before)

    def test_a_plan_says_what_would_refuse_it(self):
        with service() as it, open(it.tree / "data", "w"):
            before = it.picture()
            done = it.baton("adopt", "--plan")
            self.assertEqual(done.returncode, 1)
            self.assertIn("a file of", done.stderr)
            self.assertIn("open for writing", done.stderr)
            self.assertNotIn("listed above", done.stderr, "what follows from it is no refusal of its own")
            self.assertEqual(it.picture(), before)

    def test_it_ends_with_a_health_check(self):
        with service() as it:
            done = it.baton("adopt")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("health check passed", done.stderr)
            self.assertTrue(it.tree.is_symlink())

    def test_before_it_nothing_is_deployed_and_after_it_what_it_shared_is_asked_for(self):
        with service() as it:
            it.tree.chmod(0o755)

            def looks():
                found = json.loads(it.baton("preflight", "--json").stdout)["checks"]
                return {each["check"]: (each["state"], each["what"], each.get("next", "")) for each in found}["directory"]

            state, what, remedy = looks()
            self.assertEqual(state, "refused")
            self.assertIn(f"runs from {it.tree}", what)
            self.assertIn("baton adopt", remedy)
            (it.tree / "uploads").mkdir()
            self.assertEqual(it.baton("adopt", "--shared", "uploads").returncode, 0)
            state, what, _ = looks()
            self.assertEqual((state, what.split()[0]), ("weak", "uploads"))
            it.settings.write_text(it.settings.read_text().replace('shared = ["logs"]', 'shared = ["logs", "uploads"]'))
            self.assertEqual(looks()[0], "fine")
            record = it.app / "deploys/adoption.json"
            record.write_text("{")
            state, what, _ = looks()
            self.assertEqual(state, "weak")
            self.assertIn(str(record), what)

    def test_what_cannot_be_seen_is_not_taken_for_adopted(self):
        with service() as it:
            (it.app / "loop").symlink_to("loop")
            it.settings.write_text(it.settings.read_text().replace(f'tree = "{it.tree}"', f'tree = "{it.app}/loop/x"'))
            found = json.loads(it.baton("preflight", "--json").stdout)["checks"]
            look = next(each for each in found if each["check"] == "directory")
            self.assertEqual(look["state"], "refused")
            self.assertIn("ELOOP", look["what"])

    def test_one_that_clients_notice_is_put_back(self):
        with service(lambda tree: 500 if tree.is_symlink() else 200) as it:
            done = it.baton("adopt")
            self.assertEqual(done.returncode, 1)
            self.assertIn("the health check failed", done.stderr)
            self.assertFalse(it.tree.is_symlink())
            self.assertTrue((it.tree / "main").exists())

    def test_one_that_was_ill_before_is_adopted_and_it_is_said(self):
        with service(lambda tree: 500) as it:
            done = it.baton("adopt")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("fails before anything is changed", done.stderr)

    def test_what_is_shown_names_the_backup_that_is_there(self):
        with service() as it:
            done = it.baton("adopt")
            self.assertEqual(done.returncode, 0, done.stderr)
            shown = it.baton("show", "last", "--no-log").stdout
            (name,) = [line.split()[1] for line in shown.splitlines() if line.startswith("backup ")]
            self.assertEqual([name], os.listdir(it.app / "backups"))

    def test_undone_its_release_is_good_no_more(self):
        with service() as it:
            release = json.loads(it.baton("adopt", "--json").stdout)["release"]
            found = json.loads(it.baton("releases", "--json").stdout)["releases"]
            self.assertEqual([(each["release"], each["verdict"]) for each in found], [(release, "good")])
            self.assertEqual(it.baton("adopt", "--undo").returncode, 0)
            found = json.loads(it.baton("releases", "--json").stdout)["releases"]
            self.assertEqual([each for each in found if each["verdict"] == "good"], [])
            history = json.loads(it.baton("history", "--json").stdout)["operations"]
            self.assertEqual([each["state"] for each in history], ["aborted"])
            # The ledger says the same where the records are gone.
            for path in (it.app / "deploys").glob("*/steps.jsonl"):
                path.unlink()
            found = json.loads(it.baton("releases", "--json").stdout)["releases"]
            self.assertEqual([each for each in found if each["verdict"] == "good"], [])
            again = it.baton("adopt")
            self.assertEqual(again.returncode, 0, again.stderr)

    def test_what_holds_after_a_refusal_is_said_whether_the_service_runs_or_not(self):
        with service() as it:
            refused = it.baton("adopt", "--undo")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("nothing was adopted", refused.stderr)
            # Nothing runs from the tree here.
            self.assertIn("the tree is whole, and nothing was started or stopped", refused.stderr)
            self.assertNotIn("runs from it", refused.stderr)
            self.assertEqual(it.baton("adopt").returncode, 0)
            done = it.baton("adopt", "--undo")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("is a directory again", done.stdout)
            self.assertNotIn("runs", done.stdout + done.stderr)
            self.assertFalse(it.tree.is_symlink())


if __name__ == "__main__":
    unittest.main()
