"""Migrations cut off at every effect: what the table says is so, and the next run goes on where it stood."""

import signal
import unittest

from kit.migrations import TABLES, OnPostgres, OnSQLite
from kit.runner import within
from kit.waiting import wait_until


@within(180)
class SQLite(OnSQLite):
    FILES = {"1.sql": "CREATE TABLE c (d int); INSERT INTO c VALUES (1);", "2.sql": "INSERT INTO c VALUES (2);"}

    def fresh(self):
        for path in self.path.parent.iterdir():
            path.unlink()
        for path in self.copies():
            path.unlink()
        self.make().close()

    def effects(self):
        self.fresh()
        self.app.write(self.FILES)
        count = len(self.app.run("plan").effects)
        # The copy's writing, renaming and syncing, the table, two files of two effects: a new one must not escape.
        self.assertEqual(count, 8)
        return count

    def each(self, fault, check):
        for side in ("before", "after"):
            for number in range(1, self.effects() + 1):
                with self.subTest(f"{number} {side}"):
                    self.fresh()
                    name = f"{fault}{number}{side}"
                    check(self.app.run(fault=f"{number}:{side}:{fault}", operation=name))
                    self.assertEqual("1.sql:done" in self.ledger(), "c" in self.tables())
                    self.expect(self.app.run("undo", operation=name), 0)
                    # Nothing unfinished is left over.
                    self.assertTrue(all(path.name == f"{name}-app.db" for path in self.copies()), self.copies())
                    again = self.app.run(operation=name)
                    self.expect(again, 0)
                    self.assertEqual(self.rows("SELECT d FROM c"), [1, 2])
                    self.assertEqual(self.ledger(), ["1.sql:done", "2.sql:done"])
                    # The copy is from before the first file, whenever it was cut off.
                    (copy,) = self.copies()
                    self.assertEqual(self.rows("SELECT b FROM a", copy), [0, 1, 2])
                    self.assertNotIn("c", self.tables(copy))

    def test_killed_at_every_effect_it_goes_on_where_it_stood(self):
        self.each("kill", lambda outcome: self.assertEqual(outcome.status, -signal.SIGKILL, outcome.text))

    def test_an_error_at_every_effect_is_told_and_gone_over(self):
        self.each("EIO", lambda outcome: self.expect(outcome, 1, "EIO"))


@within(180)
class PostgreSQL(OnPostgres):
    FILES = {
        "1.sql": "CREATE TABLE a (b int); INSERT INTO a VALUES (1);",
        "2.sql": "CREATE INDEX CONCURRENTLY i ON a (b);",
        "3.sql": "INSERT INTO a VALUES (3);",
    }

    def test_killed_at_every_effect_it_goes_on_where_it_stood(self):
        self.app.write(self.FILES)
        count = len(self.app.run("plan").effects)
        # Lock, table, two files of two effects and one of three: a new effect must not escape this test.
        self.assertEqual(count, 9)
        for side in ("before", "after"):
            for number in range(1, count + 1):
                with self.subTest(f"{number} {side}"):
                    killed = self.app.run(fault=f"{number}:{side}:kill", operation=f"k{number}{side}")
                    self.assertEqual(killed.status, -signal.SIGKILL, killed.text)
                    self.check_half()
                    self.expect(self.app.run("undo", operation=f"k{number}{side}"), 0)
                    again = self.app.run(operation=f"k{number}{side}")
                    self.expect(again, 0)
                    self.assertEqual(self.ledger(), ["1.sql:done", "2.sql:done", "3.sql:done"])
                    self.assertEqual(self.server.rows("SELECT b FROM a"), ["1", "3"])
                    self.expect(self.app.run(), 0, "no migration is pending")
                    self.server.psql("DROP TABLE a, baton_migrations")

    def check_half(self):
        """What the table says is so, at every instant."""
        done = self.ledger()
        # The session of one that was killed lives on for a moment.
        wait_until(
            lambda: not self.server.rows("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'baton%'"),
            what="its session to end",
        )
        self.assertEqual(done, self.ledger())
        self.assertEqual("1.sql:done" in done, "a" in self.server.rows(TABLES))
        if "3.sql:done" in done:
            self.assertEqual(self.server.rows("SELECT b FROM a"), ["1", "3"])

    def test_an_error_at_every_effect_is_told_and_gone_over(self):
        self.app.write(self.FILES)
        for side in ("before", "after"):
            for number in range(1, 10):
                with self.subTest(f"{number} {side}"):
                    failed = self.app.run(fault=f"{number}:{side}:EIO")
                    self.expect(failed, 1, "EIO")
                    self.expect(self.app.run(), 0)
                    self.assertEqual(self.server.rows("SELECT b FROM a"), ["1", "3"])
                    self.server.psql("DROP TABLE a, baton_migrations")


if __name__ == "__main__":
    unittest.main()
