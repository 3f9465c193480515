"""The kinds of operation that accidents are arranged for: see kit.faults. Each starts from what the last try left."""

import contextlib
import shutil
import sqlite3
import tarfile

from kit.faults import Aim


class Deploy:
    """From the repository, where a release runs."""

    name = "deploy"
    arguments = ("deploy", "--foreground")

    def begin(self, ground):
        self.arrange(ground)
        ground.deploy.deployed(*self.arguments[2:])

    def arrange(self, ground):
        old = ground.current
        return Aim(old, ground.next_version())

    def complaints(self, ground, is_new):
        return []


class FromArchive(Deploy):
    """What was built elsewhere."""

    name = "from-archive"

    def begin(self, ground):
        self.path = ground.deploy.of.folder / "built.tar.gz"
        self.arguments = (*Deploy.arguments, "--from", str(self.path))
        super().begin(ground)

    def arrange(self, ground):
        aim = super().arrange(ground)
        with tarfile.open(self.path, "w:gz") as archive:
            archive.add(ground.deploy.repository / "serve", "serve")
        return aim


class Migrating(Deploy):
    """Each version has a migration of its own."""

    name = "migrations"

    def begin(self, ground):
        self.applied = set()
        self.database = ground.deploy.of.folder / "app.db"
        self.asked(ground, "PRAGMA journal_mode = wal")
        ground.deploy.more["migrate"] = {"directory": "migrations", "database": f"sqlite://{self.database}"}
        super().begin(ground)

    def arrange(self, ground):
        old, number = ground.current, ground.round + 1
        return Aim(old, ground.next_version({f"migrations/{number:04}.sql": f"CREATE TABLE t{number:04} (a int);\n"}))

    def complaints(self, ground, is_new):
        """What its table says was applied is there, nothing half; nothing that was applied is lost."""
        found = []
        if self.asked(ground, "PRAGMA integrity_check") != ["ok"]:
            found.append("the database is damaged")
        said = self.asked(ground, "SELECT substr(name, 1, 4) || ':' || state FROM baton_migrations ORDER BY 1")
        there = self.asked(ground, "SELECT substr(name, 2) || ':done' FROM sqlite_schema WHERE name LIKE 't0%' ORDER BY 1")
        if said != there:
            found.append(f"baton_migrations says {said}, there are {there}")
        if not self.applied <= set(said) or (is_new and f"{ground.round:04}:done" not in said):
            found.append(f"applied before: {self.applied}; now {said}, of {ground.round}")
        self.applied = set(said)
        return found

    def asked(self, ground, question):
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as connection:
            return [row[0] for row in connection.execute(question)]


class First(Deploy):
    """There is no release yet, and nothing of baton in the directory."""

    name = "first"

    def begin(self, ground):
        pass

    def arrange(self, ground):
        running, directory = ground.deploy.running, ground.deploy.directory
        is_served = ground.current is not None
        if is_served:
            running.end()
        for path in directory.iterdir():
            if path.name != "serve":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if is_served:
            running.start().wait_serving()
        return super().arrange(ground)


class Rollback:
    """To the last good release, whose directory is as it was."""

    name = "rollback"
    arguments = ("rollback", "--foreground")
    top = target = None

    def begin(self, ground):
        ground.next_version()
        ground.deploy.deployed()

    def arrange(self, ground):
        if ground.current != self.top:
            self.target = ground.current
            ground.next_version()
            ground.deploy.deployed()
            self.top = ground.current
        return Aim(self.top, ground.version_of(self.target))

    def complaints(self, ground, is_new):
        return []


class RollbackFromArchive(Rollback):
    """Its directory is damaged, and its archive is not."""

    name = "rollback-from-archive"

    def arrange(self, ground):
        aim = super().arrange(ground)
        path = ground.deploy.directory / "releases" / self.target / "serve"
        path.parent.chmod(0o755)
        text = path.read_text()
        path.unlink()
        path.write_text(f"{text}# damaged\n")
        return aim


KINDS = (Deploy, First, FromArchive, Migrating, Rollback, RollbackFromArchive)
