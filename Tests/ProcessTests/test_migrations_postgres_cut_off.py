"""Migrations of a real PostgreSQL that are cut off: by a kill in a statement, by the server's end, in an index."""

import re
import unittest

from kit.migrations import TABLES, OnPostgres
from kit.runner import within
from kit.waiting import wait_until


@within(180)
class Crashing(OnPostgres):
    def test_killed_in_a_statement_nothing_of_it_stays_and_the_next_waits_for_the_server(self):
        self.app.write({"1.sql": "CREATE TABLE a (b int);\nSELECT pg_sleep(600);"})
        process = self.app.start()
        wait_until(
            lambda: self.server.rows(
                "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' AND pid <> pg_backend_pid()"
            ),
            what="the statement to run",
        )
        process.kill()
        process.communicate()
        self.app.write({"1.sql": "CREATE TABLE c (b int);"})
        self.expect(self.app.run(), 0)
        self.assertEqual(self.server.rows(TABLES), ["baton_migrations", "c"])

    def test_the_server_is_killed_in_the_middle(self):
        self.app.write({"1.sql": "CREATE TABLE a (b int);", "2.sql": "CREATE TABLE c (d int);\nSELECT pg_sleep(600);"})
        process = self.app.start()
        wait_until(
            lambda: self.server.rows(
                "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' AND pid <> pg_backend_pid()"
            ),
            what="the statement to run",
        )
        self.server.kill()
        self.expect(self.app.end(process), 1, "failed: 2.sql was not applied")
        self.server.start()
        self.assertEqual(self.ledger(), ["1.sql:done"])
        self.assertEqual(self.server.rows(TABLES), ["a", "baton_migrations"])

    def test_the_answer_to_a_commit_is_lost(self):
        # The transaction waits in its COMMIT, and the connection goes while it does.
        self.server.psql(
            "CREATE TABLE a (b int); CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()"
        )
        self.app.write({"1.sql": "INSERT INTO a VALUES (1);"})
        process = self.app.start()
        pids = wait_until(
            lambda: self.server.rows("SELECT pid FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"),
            what="the commit",
        )
        self.server.psql(f"SELECT pg_terminate_backend({pids[0]})")
        self.expect(self.app.end(process), 1, "1.sql was not applied")
        self.assertEqual(self.ledger(), [])


@within(120)
class Indexes(OnPostgres):
    def setUp(self):
        super().setUp()
        self.server.psql("CREATE TABLE a (b int); INSERT INTO a VALUES (1), (1)")
        self.app.write({"1.sql": "CREATE UNIQUE INDEX CONCURRENTLY i ON a (b);"})

    def test_what_is_left_behind_is_named_with_the_remedy(self):
        first = self.app.run()
        self.expect(
            first,
            1,
            "could not create unique index",
            "line: hint: it left the index i behind, INVALID: DROP INDEX CONCURRENTLY i; then deploy again",
        )
        self.assertEqual(self.ledger(), ["1.sql:begun"])
        self.expect(self.app.run(), 1, "warn: 1.sql began in operation op1", "an earlier try left the index i behind, INVALID")
        # With IF NOT EXISTS the server would take it for the real one.
        self.app.write({"1.sql": "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b);"})
        self.expect(self.app.run(), 1, "an earlier try left the index i behind, INVALID")
        self.server.psql("DELETE FROM a WHERE ctid = (SELECT min(ctid) FROM a)")
        remedy = re.search(r"DROP INDEX CONCURRENTLY \S+;", first.text)[0]
        self.server.psql(remedy)
        self.expect(self.app.run(), 0)
        self.assertEqual(self.ledger(), ["1.sql:done"])
        self.assertEqual(self.server.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), ["t"])

    def test_killed_while_it_is_built(self):
        self.server.psql("DELETE FROM a WHERE ctid = (SELECT min(ctid) FROM a)")
        with self.server.holding("INSERT INTO a VALUES (2)"):
            process = self.app.start()
            wait_until(lambda: self.server.rows("SELECT 1 FROM pg_stat_progress_create_index"), what="the index to be built")
            self.assertEqual(self.ledger(), ["1.sql:begun"])
            process.kill()
            process.communicate()
            # The server ends what it did for one that is gone.
            wait_until(lambda: not self.server.rows("SELECT 1 FROM pg_stat_progress_create_index"), what="the server to notice")
        self.expect(self.app.run(), 1, "an earlier try left the index i behind, INVALID")

    def test_the_other_statements_that_stand_alone(self):
        self.app.write(
            {
                "1.sql": "VACUUM a;",
                "2.sql": "CREATE INDEX CONCURRENTLY j ON a (b);",
                "3.sql": "REINDEX INDEX CONCURRENTLY j;",
                "4.sql": "-- baton: contract\nDROP INDEX CONCURRENTLY j;",
            }
        )
        self.expect(self.app.run(), 0)
        self.assertEqual(self.ledger(), ["1.sql:done", "2.sql:done", "3.sql:done", "4.sql:done"])

    def test_not_null_by_way_of_a_check_the_database_has(self):
        self.server.psql("ALTER TABLE a ADD CONSTRAINT c CHECK (b IS NOT NULL)")
        self.app.write({"1.sql": "ALTER TABLE a ALTER COLUMN b SET NOT NULL; ALTER TABLE a DROP CONSTRAINT c;"})
        self.expect(self.app.run(), 0)


if __name__ == "__main__":
    unittest.main()
