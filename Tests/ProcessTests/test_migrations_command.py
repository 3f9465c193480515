"""`baton migrations`, and migrations by the program's own tool."""

import json
import subprocess
import unittest

from kit import programs
from kit.migrations import OnSQLite
from kit.runner import within


@within(60)
class ByCommand(OnSQLite):
    def set(self, command, timeout="60s"):
        text = self.app.settings.read_text()
        keep = [
            line
            for line in text.splitlines()
            if not line.startswith(('directory = "migrations', "database =", "timeout =", 'command = ["/bin/s'))
        ]
        self.app.settings.write_text("\n".join(keep) + f'\ncommand = {command}\ntimeout = "{timeout}"\n')

    def test_the_program_s_own_tool_runs_in_the_release(self):
        self.set('["/bin/sh", "-c", "pwd; echo $BATON_RELEASE"]')
        outcome = self.app.run()
        self.expect(outcome, 0, "note: migrations are the program's own", "output: new")
        self.assertIn(f"output: {self.app.folder}/releases/new", outcome.text)
        self.expect(self.app.run("plan"), 0, "effect: execute migrate: /bin/sh -c")

    def test_its_failure_and_its_time_out_are_the_step_s(self):
        self.set('["/bin/sh", "-c", "echo no such column; exit 3"]')
        self.expect(
            self.app.run(),
            1,
            "failed: migrate: /bin/sh -c 'echo no such column; exit 3' failed with exit status 3",
            "line: no such column",
        )
        self.set('["/bin/sleep", "600"]', "300ms")
        self.expect(self.app.run(), 1, "it took longer than 300ms")


@within(60)
class Listing(OnSQLite):
    """baton migrations"""

    def list(self, *arguments):
        return subprocess.run(
            [programs.path("baton"), "migrations", "--settings", str(self.app.settings), *arguments],
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip

    def test_what_is_applied_pending_and_held(self):
        self.make().close()
        self.assertIn("there is no release yet", self.list().stderr)
        contract = "-- baton: contract\nDROP TABLE a"
        self.app.write({"1.sql": "CREATE TABLE c (d int)"}, "old")
        self.app.write({"1.sql": "CREATE TABLE c (d int)", "2.sql": contract, "3.sql": "CREATE INDEX i ON c (d)"})
        (self.app.folder / "current").symlink_to("releases/old")
        self.app.run(release="old")
        answer = json.loads(self.list("--release", "new", "--json").stdout)
        self.assertEqual(
            [(each["migration"], each["state"], each["contract"]) for each in answer["migrations"]],
            [("1.sql", "applied", False), ("2.sql", "held", True), ("3.sql", "pending", False)],
        )
        self.assertEqual(answer["database"], str(self.path))
        shown = self.list("--release", "new")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertRegex(shown.stdout, r"2.sql +held +contract")
        self.app.write({"1.sql": "CREATE TABLE c (d bigint)", "3.sql": "DROP TABLE a"})
        bad = self.list("--release", "new")
        self.assertEqual(bad.returncode, 1)
        self.assertIn("refused: 1.sql was changed after it was applied", bad.stderr)
        self.assertIn("refused: 3.sql:1:1: DROP TABLE a", bad.stderr)
        self.assertEqual(self.list("--release", "../old").returncode, 64)
        self.assertEqual(self.ledger(), ["1.sql:done"])


if __name__ == "__main__":
    unittest.main()
