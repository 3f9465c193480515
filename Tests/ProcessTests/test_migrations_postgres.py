"""Migrations of a real PostgreSQL: all or nothing of each file, once each, whatever happens on the way."""

import signal
import subprocess
import unittest

from kit.migrations import TABLES, App, OnPostgres
from kit.postgres import Postgres
from kit.runner import within
from kit.waiting import wait_until


@within(120)
class Applying(OnPostgres):
    def test_each_is_applied_once_in_the_order_of_numbers(self):
        self.app.write(
            {
                "10_c.sql": "INSERT INTO a VALUES (10)",
                "9_b.sql": "INSERT INTO a VALUES (9);",
                "1 a.sql": "CREATE TABLE a (b int);",
            }
        )
        first = self.app.run()
        self.expect(first, 0)
        self.assertEqual(first.applied, ["1 a.sql", "9_b.sql", "10_c.sql"])
        self.assertEqual(self.server.rows("SELECT b FROM a"), ["9", "10"])
        again = self.app.run()
        self.expect(again, 0, "no migration is pending")
        self.assertEqual(again.applied, [])
        self.assertEqual(self.server.rows("SELECT b FROM a"), ["9", "10"])
        row = self.server.psql(
            "SELECT service, checksum ~ '^[0-9a-f]{64}$', release, operation, duration_ms >= 0 FROM baton_migrations LIMIT 1"
        ).stdout
        self.assertEqual(row.strip(), "app|t|new|op1|t")

    def test_of_a_file_that_half_fails_nothing_stays(self):
        self.app.write(
            {
                "1.sql": "CREATE TABLE a (b int);",
                "2.sql": "CREATE TABLE c (d int);\n\nINSERT INTO c VALUES ('x');\nCREATE TABLE e (f int);",
                "3.sql": "CREATE TABLE g (h int);",
            }
        )
        outcome = self.app.run()
        self.expect(
            outcome, 1, "failed: 2.sql was not applied", '2.sql:3:23: invalid input syntax for type integer: "x" (22P02)'
        )
        self.assertEqual(self.ledger(), ["1.sql:done"])
        self.assertEqual(self.server.rows(TABLES), ["a", "baton_migrations"])
        self.app.write(
            {"1.sql": "CREATE TABLE a (b int);", "2.sql": "CREATE TABLE c (d int)", "3.sql": "CREATE TABLE g (h int);"}
        )
        self.expect(self.app.run(), 0)
        self.assertEqual(self.ledger(), ["1.sql:done", "2.sql:done", "3.sql:done"])

    def test_a_syntax_error_is_named_with_its_place(self):
        self.app.write({"1.sql": "-- é\nCREATE TABLE a (b int);\nSELECT 'é', b\n  FORM a;"})
        self.expect(self.app.run(), 1, '1.sql:4:8: syntax error at or near "a" (42601)')
        self.assertEqual(self.ledger(), [])

    def test_what_the_server_sees_as_two_statements_is_refused(self):
        # A quote that only the server's reading closes elsewhere: the lint has seen one statement, and one is what runs.
        self.app.write(
            {"1.sql": "SELECT set_config('standard_conforming_strings', 'off', false);\nSELECT '\\'; DROP TABLE x; --'"}
        )
        self.server.psql("CREATE TABLE x (a int)")
        self.expect(self.app.run(), 1)
        self.assertEqual(self.server.rows("SELECT 1 WHERE to_regclass('x') IS NOT NULL"), ["1"])

    def test_a_changed_file_is_refused_and_a_missing_one_is_said(self):
        self.app.write({"1.sql": "CREATE TABLE a (b int)"})
        self.app.run()
        self.app.write({"1.sql": "CREATE TABLE a (b bigint)", "2.sql": "CREATE TABLE c (d int)"})
        self.expect(self.app.run(), 1, "refused: 1.sql was changed after it was applied")
        self.assertEqual(self.ledger(), ["1.sql:done"])
        self.app.write({"2.sql": "CREATE TABLE c (d int)"})
        self.expect(self.app.run(), 0, "warn: 1.sql is applied (release new) and this release does not bring it")

    def test_the_lint_refuses_and_nothing_is_done(self):
        self.app.write({"1.sql": "CREATE TABLE a (b int);", "2.sql": "CREATE INDEX i ON a (b);\nDROP TABLE other;"})
        outcome = self.app.run()
        self.expect(
            outcome,
            1,
            "refused: 2 things speak against the migrations, first: 2.sql:1:1: CREATE INDEX on a without",
            "line: 2.sql:2:1: DROP TABLE other",
        )
        self.assertEqual(self.server.rows(TABLES), [])

    def test_a_contract_waits_until_the_release_before_knows_it(self):
        contract = "-- baton: contract\nDROP TABLE a;"
        self.server.psql("CREATE TABLE a (b int)")
        self.app.write({"1.sql": "CREATE TABLE c (d int);"}, "old")
        self.app.write({"1.sql": "CREATE TABLE c (d int);", "2.sql": contract, "3.sql": "CREATE TABLE e (f int);"})
        held = self.app.run(previous="old")
        self.expect(held, 0, "note: 2.sql is a contract and is held back: release old")
        self.assertEqual(held.applied, ["1.sql", "3.sql"])
        # A later release that brings it too: now what is gone back to knows it.
        self.app.write({"1.sql": "CREATE TABLE c (d int);", "2.sql": contract, "3.sql": "CREATE TABLE e (f int);"}, "old")
        later = self.app.run(previous="old")
        self.assertEqual(later.applied, ["2.sql"])
        # From here on a release without it cannot be gone back to, nor deployed.
        self.app.write({"1.sql": "CREATE TABLE c (d int);"}, "old")
        self.expect(self.app.run("gate", release="old"), 0, "closed(", "a schema that is gone", "2.sql")
        self.expect(self.app.run("gate"), 0, "gate: open")
        self.expect(self.app.run(release="old"), 1, "refused: the database has had 2.sql, a contract of release new")

    def test_settings_of_one_file_do_not_reach_the_next(self):
        self.app.write(
            {
                "1.sql": "SET search_path = pg_catalog; SET statement_timeout = '1ms';",
                "2.sql": "SELECT pg_sleep(0.1); CREATE TABLE a (b int);",
            }
        )
        self.expect(self.app.run(), 0)
        self.assertEqual(self.server.rows(TABLES), ["a", "baton_migrations"])

    def test_remarks_of_the_server_are_passed_on(self):
        self.app.write({"1.sql": "DO $$ BEGIN RAISE WARNING 'careful'; END $$;"})
        self.expect(self.app.run(), 0, "output: WARNING: careful")

    def test_a_plan_changes_nothing(self):
        self.app.write({"1.sql": "CREATE TABLE a (b int);"})
        outcome = self.app.run("plan")
        self.expect(outcome, 0, "effect: query apply 1.sql to postgres://postgres@/postgres")
        self.assertEqual(self.server.rows(TABLES), [])

    def test_two_services_share_one_database(self):
        with App(self.server.url()) as other:
            self.app.write({"1.sql": "CREATE TABLE a (b int);"})
            self.app.run()
            self.server.psql("UPDATE baton_migrations SET service = 'other'")
            other.write({"1.sql": "CREATE TABLE c (b int);"})
            self.expect(other.run(), 0)
            self.assertEqual(self.server.rows("SELECT service FROM baton_migrations ORDER BY 1"), ["app", "other"])


@within(120)
class Secrets(unittest.TestCase):
    PASSWORD = "s3cret-%41-sentinel"

    def test_no_password_is_ever_seen(self):
        with Postgres() as server:
            server.psql("CREATE ROLE app LOGIN SUPERUSER PASSWORD 's3cret-A-sentinel'")
            (server.data / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
            server.psql("SELECT pg_reload_conf()")
            for password, status in ((self.PASSWORD, 0), (self.PASSWORD + "-wrong", 1)):
                with App(variable=("DATABASE_URL", server.url(user="app", password=password))) as app:
                    app.write({"1.sql": "CREATE TABLE IF NOT EXISTS a (b int);"})
                    process = app.start()
                    seen = _commands_of_all()
                    outcome = app.end(process)
                    self.assertEqual(outcome.status, status, outcome.text)
                    for text in (outcome.text, seen, app.run("plan").text):
                        self.assertNotIn("sentinel", text)
            for url in (
                f"postgres://u:{self.PASSWORD}%zz@h/d",
                f"postgres://u:{self.PASSWORD}@h:port/d",
                f"postgres://u:{self.PASSWORD}@/d?passwor={self.PASSWORD}",
            ):
                with App(variable=("DATABASE_URL", url)) as app:
                    app.write({"1.sql": "SELECT 1"})
                    outcome = app.run()
                    self.assertEqual(outcome.status, 1)
                    self.assertNotIn("sentinel", outcome.text)

    def test_without_a_value_it_says_which_variable(self):
        with App(variable=("DATABASE_URL", "")) as app:
            app.write({})
            outcome = app.run()
            self.assertIn("refused: [migrate] database-variable names DATABASE_URL", outcome.text)

    def test_a_server_that_is_not_there(self):
        with App("postgres://u@/d?host=/nonexistent") as app:
            app.write({"1.sql": "SELECT 1"})
            outcome = app.run()
            self.assertEqual(outcome.status, 1)
            self.assertIn("failed: the database postgres://u@/d cannot be used", outcome.text)


def _commands_of_all():
    return subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, text=True).stdout


@within(120)
class Waiting(OnPostgres):
    def test_a_lock_somebody_holds_ends_the_file_and_not_the_service(self):
        self.server.psql("CREATE TABLE a (b int)")
        self.app.write({"1.sql": "CREATE TABLE c (d int);\nALTER TABLE a ADD COLUMN c int;"})
        with self.server.holding("SELECT * FROM a"):
            process = self.app.start()
            wait_until(lambda: self.server.rows("SELECT 1 FROM pg_locks WHERE NOT granted"), what="the migration to wait")
            outcome = self.app.end(process)
            # Whoever comes after the migration gave up reads on.
            self.assertEqual(self.server.rows("SET statement_timeout = '2s'; SELECT count(*) FROM a"), ["0"])
        self.expect(outcome, 1, "1.sql:2:1: canceling statement due to lock timeout (55P03)", "lock-timeout")
        self.assertEqual(self.ledger(), [])
        self.assertNotIn("c", self.server.rows(TABLES))

    def test_a_statement_that_takes_too_long(self):
        with App(self.server.url(), statement_timeout="300ms") as app:
            app.write({"1.sql": "CREATE TABLE a (b int);\nSELECT pg_sleep(30);"})
            outcome = app.run()
            self.expect(outcome, 1, "1.sql:2:1: canceling statement due to statement timeout (57014)")
            self.assertNotIn("a", self.server.rows(TABLES))

    def test_all_of_it_takes_too_long(self):
        with App(self.server.url(), timeout="1s") as app:
            app.write({"1.sql": "CREATE TABLE a (b int);\nSELECT pg_sleep(30);"})
            self.expect(app.run(), 1, "it took too long")
            self.assertNotIn("a", self.server.rows(TABLES))
            self.assertEqual(
                self.server.rows("SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)' AND state = 'active'"), []
            )

    def test_a_person_ends_it(self):
        self.app.write({"1.sql": "CREATE TABLE a (b int);\nSELECT pg_sleep(30);"})
        process = self.app.start()
        wait_until(self.sleeping, what="the statement to run")
        process.send_signal(signal.SIGINT)
        self.expect(self.app.end(process), 1, "aborted: 1.sql was not applied")
        self.assertEqual(self.sleeping(), [])
        self.assertNotIn("a", self.server.rows(TABLES))

    def sleeping(self):
        return self.server.rows(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()"
        )

    def test_of_two_at_once_each_file_is_applied_once(self):
        files = {
            f"{n}.sql": f"{'CREATE TABLE IF NOT EXISTS a (b int);' if n == 1 else ''} INSERT INTO a VALUES ({n}); SELECT pg_sleep(0.05)"
            for n in range(1, 9)
        }
        self.app.write(files)
        with App(self.server.url()) as other:
            other.write(files)
            processes = [self.app.start(operation="x"), other.start(operation="y"), self.app.start(operation="z")]
            outcomes = [App.end(process) for process in processes]
        for outcome in outcomes:
            self.expect(outcome, 0)
        self.assertEqual(sorted(self.server.rows("SELECT b FROM a"), key=int), [str(n) for n in range(1, 9)])
        self.assertEqual(len(sum((outcome.applied for outcome in outcomes), [])), 8)

    def test_the_second_gives_up_when_the_first_takes_too_long(self):
        self.app.write({"1.sql": "SELECT pg_sleep(30);"})
        with App(self.server.url(), timeout="1s") as other:
            other.write({"1.sql": "SELECT 1"})
            process = self.app.start()
            wait_until(self.sleeping, what="the first to run")
            self.expect(other.run(), 75, "note: waiting for other migrations", "baton app op1, server process")
            process.send_signal(signal.SIGINT)
            self.app.end(process)


class TheOldScript(OnPostgres):
    """What migrate.sh did and this must not: see its loop `psql -f $file` without ON_ERROR_STOP."""

    @within(120)
    def test_row_by_row(self):
        self.server.psql("CREATE ROLE app LOGIN; GRANT ALL ON SCHEMA public TO app")
        with App(self.server.url(user="app")) as app:
            app.write(
                {
                    "1 first.sql": "CREATE TABLE a (b int);",
                    "2_bad.sql": "CREATE TABLE c (d int); SELEC 1; CREATE TABLE e (f int);",
                    "3.sql": "CREATE TABLE g (h int);",
                }
            )
            outcome = app.run()
            # It does not go on after a failed file, does not say it was done, and applies nothing of the file.
            self.expect(outcome, 1, "failed: 2_bad.sql")
            self.assertNotIn("3.sql", outcome.text)
            self.assertEqual(self.server.rows(TABLES), ["a", "baton_migrations"])
            # It does not run everything again, and a name with a blank is a name.
            app.write({"1 first.sql": "CREATE TABLE a (b int);", "2_bad.sql": "CREATE TABLE c (d int);"})
            self.assertEqual(app.run().applied, ["2_bad.sql"])
            # A lock is waited for as long as it was told and no longer.
            self.assertEqual(self.server.rows("SELECT usesuper FROM pg_user WHERE usename = 'app'"), ["f"])


if __name__ == "__main__":
    unittest.main()
