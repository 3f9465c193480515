"""A service with migrations, and the program that applies them; see Tests/Fixtures/migrate."""

import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

from kit import programs
from kit.postgres import Postgres

LEDGER = "SELECT name || ':' || state FROM baton_migrations ORDER BY name"
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"


class Outcome:
    def __init__(self, status, text):
        self.status, self.text = status, text

    def lines(self, word):
        start = f"{word}: "
        return [line[len(start) :] for line in self.text.splitlines() if line.startswith(start)]

    @property
    def applied(self):
        return self.lines("applied")

    @property
    def effects(self):
        return self.lines("effect")


class App:
    """`app.files = {"1_a.sql": "…"}` is the release `new`; the one before it is `old`."""

    def __init__(self, database=None, variable=None, **limits):
        self.program = programs.path("fixture-migrate")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-migrate-"))
        for name in ("releases/new/migrations", "releases/old/migrations", "backups", "deploys"):
            (self.folder / name).mkdir(parents=True)
        main = self.folder / "main"
        main.write_text("#!/bin/sh\n")
        main.chmod(0o755)
        self.number = 0
        lines = ["[migrate]", 'directory = "migrations"']
        lines += [f"database = '{database}'"] if database else []
        lines += [f'database-variable = "{variable[0]}"'] if variable else []
        limits = {"lock_timeout": "2s", "statement_timeout": "20s", "timeout": "60s", **limits}
        lines += [f'{key.replace("_", "-")} = "{value}"' for key, value in limits.items()]
        secrets = self.folder / "secrets"
        secrets.write_text(f"{variable[0]}={variable[1]}\n" if variable else "")
        secrets.chmod(0o600)
        self.settings = self.folder / "app.toml"
        user = "root" if os.geteuid() == 0 else os.environ.get("USER", "root")
        self.settings.write_text(
            f"""
[service]
user = "{user}"
directory = "{self.folder}"
[engine.web]
command = ["{main}"]
[deploy]
user = "{user}"
secrets = ["{secrets}"]
"""
            + "\n".join(lines)
            + "\n"
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, files, release="new"):
        """The migrations of a release are these, and no others."""
        place = self.folder / "releases" / release / "migrations"
        shutil.rmtree(place)
        place.mkdir(parents=True)
        for name, text in files.items():
            (place / name).write_text(text)

    def start(self, act="run", previous="-", operation=None, release="new", fault=None, environment=None):
        if operation is None:
            self.number += 1
            operation = f"op{self.number}"
        extra = {**(environment or {}), **({"BATON_FAULT": fault} if fault else {})}
        return subprocess.Popen(
            [self.program, str(self.settings), operation, release, previous, act], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **extra},
        )  # fmt: skip

    @staticmethod
    def end(process, within=60):
        text, _ = process.communicate(timeout=within)
        return Outcome(process.returncode, text)

    def run(self, act="run", **options):
        return self.end(self.start(act, **options))


class OnPostgres(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Postgres())
        self.app = self.enterContext(App(self.server.url()))

    def ledger(self):
        if not self.server.rows("SELECT 1 WHERE to_regclass('baton_migrations') IS NOT NULL"):
            return []
        return self.server.rows(LEDGER)

    def expect(self, outcome, status, *words):
        self.assertEqual(outcome.status, status, outcome.text)
        for word in words:
            self.assertIn(word, outcome.text)


class OnSQLite(unittest.TestCase):
    def setUp(self):
        self.app = self.enterContext(App("sqlite:///will-be-replaced"))
        self.path = self.app.folder / "data" / "app.db"
        self.path.parent.mkdir()
        self.use(self.path)

    def use(self, path, **limits):
        self.path = path
        text = self.app.settings.read_text()
        lines = [f"database = 'sqlite://{path}'" if line.startswith("database =") else line for line in text.splitlines()]
        for key, value in limits.items():
            key = key.replace("_", "-")
            lines = [f'{key} = "{value}"' if line.startswith(f"{key} =") else line for line in lines]
        self.app.settings.write_text("\n".join(lines) + "\n")

    def make(self, mode="wal", rows=3):
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE a (b int)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO a VALUES (?)", [(n,) for n in range(rows)])
        connection.execute("COMMIT")
        return connection

    def rows(self, sql, path=None):
        connection = sqlite3.connect(path or self.path, timeout=10)
        try:
            return [row[0] for row in connection.execute(sql)]
        finally:
            connection.close()

    def tables(self, path=None):
        return self.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1", path)

    def ledger(self):
        if "baton_migrations" not in self.tables():
            return []
        return self.rows("SELECT name || ':' || state FROM baton_migrations ORDER BY name")

    def copies(self):
        return sorted(path for path in (self.app.folder / "backups").iterdir())

    def expect(self, outcome, status, *words):
        self.assertEqual(outcome.status, status, outcome.text)
        for word in words:
            self.assertIn(word, outcome.text)
