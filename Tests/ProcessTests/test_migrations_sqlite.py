"""Migrations of a SQLite database that the service uses meanwhile: all or nothing of each file, and a copy from before."""

import ctypes
import os
import signal
import sqlite3
import subprocess
import threading
import unittest

from kit.migrations import App, OnSQLite
from kit.runner import within
from kit.waiting import wait_until


@within(120)
class Applying(OnSQLite):
    def test_each_is_applied_once_and_a_copy_from_before_is_there(self):
        with_log = self.make()
        with_log.execute("INSERT INTO a VALUES (99)")  # Only in the log as yet.
        self.app.write({"1.sql": "CREATE TABLE c (d int); INSERT INTO c VALUES (1);", "2.sql": "CREATE INDEX i ON c (d)"})
        outcome = self.app.run()
        self.expect(outcome, 0)
        self.assertEqual(outcome.applied, ["1.sql", "2.sql"])
        self.assertEqual(self.ledger(), ["1.sql:done", "2.sql:done"])
        (copy,) = self.copies()
        self.assertEqual(copy.name, "op1-app.db")
        self.assertEqual(copy.stat().st_mode & 0o7777, 0o600)
        self.assertEqual(self.tables(copy), ["a"])
        self.assertEqual(self.rows("SELECT b FROM a", copy), [0, 1, 2, 99])
        self.expect(self.app.run(), 0, "no migration is pending")
        # Nothing to do, no copy made; and the copy has no file beside it.
        self.assertEqual(self.copies(), [copy])
        # The service's connection sees it, and its mode is as it was.
        self.assertEqual(with_log.execute("PRAGMA journal_mode").fetchone(), ("wal",))
        self.assertEqual(with_log.execute("SELECT d FROM c").fetchone(), (1,))

    def test_of_a_file_that_half_fails_nothing_stays(self):
        self.make().close()
        self.app.write(
            {
                "1.sql": "CREATE TABLE c (d int);\nINSERT INTO c VALUES (1);\n\n  INSERT INTO nowhere VALUES (2);",
                "2.sql": "CREATE TABLE e (f int)",
            }
        )
        self.expect(self.app.run(), 1, "failed: 1.sql was not applied", "1.sql:4:3: SQL logic error: no such table: nowhere")
        self.assertEqual(self.tables(), ["a", "baton_migrations"])
        self.assertEqual(self.ledger(), [])

    def test_a_syntax_error_is_named_with_its_place(self):
        self.make().close()
        self.app.write({"1.sql": "-- é\nSELECT 1;\nSELECT 'é' FORM a;"})
        self.expect(self.app.run(), 1, '1.sql:3:17: SQL logic error: near "a": syntax error')

    def test_a_constraint_that_is_broken_when_it_runs(self):
        self.make().close()
        self.app.write({"1.sql": "CREATE TABLE c (d int UNIQUE);\nINSERT INTO c VALUES (1), (1);"})
        self.expect(self.app.run(), 1, "1.sql:2:1: ", "UNIQUE constraint failed: c.d")
        self.assertEqual(self.tables(), ["a", "baton_migrations"])

    def test_rows_that_lose_what_they_refer_to(self):
        connection = self.make()
        connection.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE k (p INTEGER REFERENCES p (id))")
        connection.execute("INSERT INTO p VALUES (1)")
        connection.execute("INSERT INTO k VALUES (1)")
        self.app.write({"1.sql": "DELETE FROM p WHERE id = 1;"})
        self.expect(self.app.run(), 1, "after 1.sql a row of k refers to one that is not in p")
        self.assertEqual(self.rows("SELECT id FROM p"), [1])
        # A table made anew, as SQLite advises: in between nothing is right, at the end all is.
        self.app.write(
            {
                "1.sql": "-- baton: contract\nCREATE TABLE n (id INTEGER PRIMARY KEY, x int); INSERT INTO n SELECT id, 0 FROM p; DROP TABLE p; ALTER TABLE n RENAME TO p;"
            }
        )
        self.expect(self.app.run(), 0)
        self.assertEqual(self.rows("SELECT x FROM p"), [0])

    def test_a_changed_file_is_refused(self):
        self.make().close()
        self.app.write({"1.sql": "SELECT 1"})
        self.app.run()
        self.app.write({"1.sql": "SELECT 2"})
        self.expect(self.app.run(), 1, "refused: 1.sql was changed after it was applied")

    def test_the_lint_refuses(self):
        self.make().close()
        self.app.write({"1.sql": "ALTER TABLE a DROP COLUMN b"})
        self.expect(self.app.run(), 1, "refused: 1.sql:1:1: DROP COLUMN b of a")
        self.assertEqual(self.tables(), ["a"])
        self.assertEqual(self.copies(), [])

    def test_a_database_that_is_not_there_yet(self):
        self.app.write({"1.sql": "CREATE TABLE c (d int)"})
        self.expect(self.app.run("plan"), 0, f"effect: query apply 1.sql to {self.path}")
        self.assertFalse(self.path.exists())
        self.expect(self.app.run(), 0)
        self.assertEqual(self.tables(), ["baton_migrations", "c"])
        self.assertEqual(self.copies(), [])

    def test_what_is_no_database(self):
        self.path.write_text("no database, but text that is long enough to be looked at as if it were one\n" * 20)
        self.app.write({"1.sql": "CREATE TABLE c (d int)"})
        self.expect(self.app.run(), 1, "file is not a database")
        self.use(self.app.folder / "missing" / "app.db")
        self.expect(self.app.run(), 1, "unable to open database file")

    def test_vacuum_stands_alone(self):
        self.make().close()
        self.app.write({"1.sql": "-- baton: contract\nVACUUM;"})
        self.expect(self.app.run(), 0)
        self.assertEqual(self.ledger(), ["1.sql:done"])


@within(120)
class Waiting(OnSQLite):
    def test_a_lock_somebody_holds(self):
        connection = self.make()
        self.use(self.path, lock_timeout="300ms")
        self.app.write({"1.sql": "CREATE TABLE c (d int)"})
        connection.execute("BEGIN IMMEDIATE")
        self.expect(self.app.run(), 1, "database is locked", "lock-timeout")
        connection.execute("COMMIT")
        self.expect(self.app.run(), 0)

    def test_a_statement_that_takes_too_long(self):
        self.make().close()
        self.use(self.path, statement_timeout="300ms")
        self.app.write({"1.sql": ENDLESS})
        self.expect(self.app.run(), 1, "failed: 1.sql was not applied", "interrupted", "statement-timeout")
        self.assertEqual(self.tables(), ["a", "baton_migrations"])

    def test_a_person_ends_it(self):
        self.make().close()
        self.app.write({"1.sql": ENDLESS})
        process = self.app.start()
        wait_until(lambda: self.is_written(), what="the transaction to begin")
        process.send_signal(signal.SIGINT)
        self.expect(self.app.end(process), 1, "aborted: 1.sql was not applied")
        self.assertEqual(self.tables(), ["a", "baton_migrations"])

    def is_written(self):
        if "baton_migrations" not in self.tables():
            return False
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            return False
        except sqlite3.OperationalError:
            return True
        finally:
            connection.close()

    def test_of_two_at_once_each_file_is_applied_once(self):
        for mode in ("wal", "delete"):
            with self.subTest(mode):
                self.path = self.path.with_name(f"{mode}.db")
                self.use(self.path, lock_timeout="20s")
                self.make(mode, 0).close()
                self.app.write({f"{n}.sql": f"INSERT INTO a VALUES ({n})" for n in range(1, 9)})
                outcomes = [App.end(p) for p in [self.app.start(operation=f"{mode}{n}") for n in range(3)]]
                for outcome in outcomes:
                    self.expect(outcome, 0)
                self.assertEqual(sorted(self.rows("SELECT b FROM a")), list(range(1, 9)))

    def test_the_copy_is_of_one_moment_while_the_service_writes(self):
        for mode in ("wal", "delete"):
            with self.subTest(mode):
                self.path = self.path.with_name(f"{mode}.db")
                self.use(self.path, lock_timeout="20s")
                connection = self.make(mode, 0)
                connection.execute("CREATE TABLE pairs (x int, filler text)")
                connection.execute(
                    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
                    "INSERT INTO pairs SELECT 0, hex(randomblob(200)) FROM n"
                )
                connection.close()
                self.app.write({"1.sql": "CREATE TABLE c (d int)"})
                stop = threading.Event()
                writes = []
                writer = threading.Thread(target=self.write_on, args=(stop, writes))
                writer.start()
                try:
                    wait_until(lambda: len(writes) > 3, what="the service to write")
                    outcome = self.app.run(operation=mode)
                finally:
                    stop.set()
                    writer.join()
                self.expect(outcome, 0)
                copy = self.app.folder / "backups" / f"{mode}-{mode}.db"
                self.assertEqual(self.rows("PRAGMA integrity_check", copy), ["ok"])
                # The service changes two rows in one transaction: a torn copy would have one of them.
                self.assertEqual(len(set(self.rows("SELECT x FROM pairs WHERE rowid IN (1, 20000)", copy))), 1)

    def write_on(self, stop, writes):
        connection = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        while not stop.is_set():
            connection.execute("UPDATE pairs SET x = ? WHERE rowid IN (1, 20000)", (len(writes),))
            writes.append(1)
        connection.close()


ENDLESS = "CREATE TABLE c (d int);\nWITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;"


@within(60)
class Crashing(OnSQLite):
    def test_killed_in_a_statement_nothing_of_it_stays(self):
        self.make().close()
        self.app.write({"1.sql": ENDLESS})
        process = self.app.start()
        wait_until(lambda: Waiting.is_written(self), what="the transaction to begin")
        process.kill()
        process.communicate()
        self.app.write({"1.sql": "CREATE TABLE e (f int)"})
        self.expect(self.app.run(), 0)
        self.assertEqual(self.tables(), ["a", "baton_migrations", "e"])


@within(60)
class FullDisk(OnSQLite):
    """On a tmpfs of its own, seen by this test alone."""

    def mount(self, place, size):
        if os.geteuid() != 0:
            self.skipTest("only root can mount a small tmpfs")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x00020000) != 0:
            self.skipTest("no mount namespace can be had here")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)], check=True)
        # Lazily, or the test's own directory could not be removed while it is a mount.
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(place)], check=True)

    def test_the_database_s_disk_is_full(self):
        self.mount(self.path.parent, "1m")
        self.make(rows=10).close()
        self.app.write(
            {
                "1.sql": "CREATE TABLE c (d text);",
                "2.sql": "CREATE TABLE e (f text);\nWITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO e SELECT hex(randomblob(500)) FROM n;",
                "3.sql": "SELECT 1",
            }
        )
        self.expect(self.app.run(), 1, "failed: 2.sql was not applied", "2.sql:2:1: database or disk is full")
        self.assertEqual(self.rows("PRAGMA integrity_check"), ["ok"])
        self.assertEqual(self.ledger(), ["1.sql:done"])
        self.assertEqual(self.tables(), ["a", "baton_migrations", "c"])

    def test_the_disk_of_the_copies_is_full(self):
        self.mount(self.app.folder / "backups", "100k")
        self.make(rows=50_000).close()
        self.app.write({"1.sql": "CREATE TABLE c (d text);"})
        self.expect(self.app.run(), 1, "could not be copied", "database or disk is full", "make room on the disk")
        self.assertEqual(self.copies(), [])
        self.assertEqual(self.tables(), ["a"])


if __name__ == "__main__":
    unittest.main()
