"""Migrations in a deploy, on Debian's PostgreSQL."""

import unittest

from kit.deploying import USER, deployed
from kit.runner import either_base, within


@either_base
@within(240)
class PostgreSQL(unittest.TestCase):
    def start(self, it):
        """A cluster with a database that the deploy user owns, by the peer's name over the Unix socket."""
        cluster = it.machine.run("sh", "-c", "ls /etc/postgresql").stdout.split()[-1]
        it.machine.run("systemctl", "start", f"postgresql@{cluster}-main")
        self.sql(it, f'CREATE ROLE "{USER}" LOGIN', database="postgres")
        self.sql(it, f'CREATE DATABASE demo OWNER "{USER}"', database="postgres")
        it.migrate = {"directory": "migrations", "database": "postgres:///demo?host=/run/postgresql", "lock-timeout": "2s"}

    def sql(self, it, statement, database="demo", user="postgres"):
        return it.machine.run("runuser", "-u", user, "--", "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement, database).stdout

    def columns(self, it, table):
        return self.sql(
            it, f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY 1").split()

    def test_A18_migrations_are_applied_before_the_new_code_is_met_and_only_once(self):
        with deployed() as it:
            self.start(it)
            it.repository.write("migrations/001_orders.sql", "CREATE TABLE orders (id bigint PRIMARY KEY);\n")
            it.first("v1")
            self.assertEqual(self.columns(it, "orders"), ["id"])
            self.sql(it, "INSERT INTO orders VALUES (1)", user=USER)
            it.repository.write("migrations/002_note.sql", "ALTER TABLE orders ADD COLUMN note text;\n")
            it.version("v2")
            with it.load() as load:
                it.deploys()
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(self.columns(it, "orders"), ["id", "note"])
            self.assertEqual(self.sql(it, "SELECT count(*) FROM orders").strip(), "1")
            self.assertEqual(it.answered_by(), "v2")

    def test_M1_one_that_half_fails_leaves_the_schema_and_the_old_release(self):
        with deployed() as it:
            self.start(it)
            it.repository.write("migrations/001_orders.sql", "CREATE TABLE orders (id bigint PRIMARY KEY);\n")
            it.first("v1")
            old = it.current
            it.repository.write("migrations/002_half.sql", "ALTER TABLE orders ADD COLUMN note text;\nSELECT nonsense;\n")
            it.repository.write("migrations/003_never.sql", "CREATE TABLE never (id int);\n")
            it.version("v2")
            with it.load() as load:
                done = it.fails()
            self.assertIn("002_half.sql", done.stderr)
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual((self.columns(it, "orders"), self.columns(it, "never")), (["id"], []))
            self.assertEqual((it.current, it.answered_by()), (old, "v1"))

    def test_M2_one_that_would_break_the_old_code_is_refused_and_so_is_a_changed_one(self):
        with deployed() as it:
            self.start(it)
            it.repository.write("migrations/001_orders.sql", "CREATE TABLE orders (id bigint PRIMARY KEY);\n")
            it.first("v1")
            it.repository.write("migrations/002_drop.sql", "DROP TABLE orders;\n")
            it.version("v2")
            self.assertIn("002_drop.sql", it.fails().stderr)
            it.repository.remove("migrations/002_drop.sql")
            it.repository.write("migrations/001_orders.sql", "CREATE TABLE orders (id int PRIMARY KEY);\n")
            it.version("v3")
            self.assertIn("001_orders.sql", it.fails().stderr)
            self.assertEqual((self.columns(it, "orders"), it.answered_by()), (["id"], "v1"))

    def test_M3_one_that_cannot_get_its_lock_gives_up_instead_of_blocking_every_reader(self):
        with deployed() as it:
            self.start(it)
            it.repository.write("migrations/001_orders.sql", "CREATE TABLE orders (id bigint PRIMARY KEY);\n")
            it.first("v1")
            holder = it.machine.start(
                "runuser", "-u", USER, "--", "psql", "-qX", "demo", stdin=-1, stdout=-1, text=True)  # fmt: skip
            holder.stdin.write("BEGIN; LOCK TABLE orders; SELECT 'held';\n")
            holder.stdin.flush()
            while "held" not in holder.stdout.readline():
                pass
            it.repository.write("migrations/002_note.sql", "ALTER TABLE orders ADD COLUMN note text;\n")
            it.version("v2")
            done = it.fails()
            holder.stdin.close()
            holder.wait(10)
            self.assertIn("lock", done.stderr)
            self.assertEqual((self.columns(it, "orders"), it.answered_by()), (["id"], "v1"))
