"""A PostgreSQL of a test's own: a data directory in memory where there is room, a Unix socket, no TCP, no root."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from kit import base, memory, programs
from kit.waiting import wait_until

PLACES = "/usr/lib/postgresql/*/bin"
PORT = "5432"


class Postgres:
    """Use as `with Postgres() as server:`. The superuser is `postgres`; connections over the socket are trusted."""

    def __init__(self, **settings):
        self.server = programs.tool("postgres", PLACES)
        self.settings = {
            "listen_addresses": "", "fsync": "off", "autovacuum": "off", "max_connections": "40", **settings,
        }  # fmt: skip
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-pg-", dir=memory.place()))
        self.become = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.process = None

    def __enter__(self):
        template = self.template()
        if not template.exists():
            self.keep_as(template)
        subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(self.data)], check=True)
        self.start()
        return self

    def template(self):
        """A data directory as initdb makes it, kept from run to run: making one takes a second of a processor."""
        version = os.path.realpath(self.server).removesuffix("/bin/postgres").replace("/", "-")
        stamp = os.stat(self.server).st_mtime_ns
        return base.cache_folder() / f"postgres{version}-{stamp:x}-{os.geteuid()}"

    def keep_as(self, template):
        """Of two that do so at once the first one's is kept."""
        made = self.folder / "template"
        subprocess.run(
            [*self.become, programs.tool("initdb", PLACES), "-D", str(made), "-A", "trust", "-U", "postgres",
             "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        template.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-postgres-", dir=template.parent) as place:
            copy = pathlib.Path(place) / "data"
            subprocess.run(["cp", "-a", str(made), str(copy)], check=True)
            try:
                copy.rename(template)
            except OSError:
                if not template.exists():
                    raise

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self):
        return self.folder / "data"

    def start(self):
        options = {"unix_socket_directories": str(self.folder), **self.settings}
        log = open(self.folder / "log", "ab")
        with log:
            self.process = subprocess.Popen(
                [*self.become, self.server, "-D", str(self.data),
                 *(part for name, text in options.items() for part in ("-c", f"{name}={text}"))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip
        wait_until(self.answers, 30, "PostgreSQL to answer")

    def answers(self):
        return self.process.poll() is None and self.psql("SELECT 1", check=False).returncode == 0

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20)

    def kill(self):
        """SIGKILL to the server and to all that works for it, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def url(self, database="postgres", user="postgres", password=None):
        secret = f":{password}" if password else ""
        return f"postgres://{user}{secret}@/{database}?host={self.folder}"

    def psql(self, sql, database="postgres", check=True):
        return subprocess.run(
            [programs.tool("psql", PLACES), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", "postgres",
             "-d", database, "-c", sql],
            check=check, capture_output=True, text=True,
        )  # fmt: skip

    def rows(self, sql, database="postgres"):
        return self.psql(sql, database).stdout.split()

    def holding(self, sql, database="postgres"):
        """A session that has run `sql` in a transaction and holds its locks until it is closed."""
        return Session(self, sql, database)


class Session:
    def __init__(self, server, sql, database):
        self.process = subprocess.Popen(
            [programs.tool("psql", PLACES), "-XAtq", "-h", str(server.folder), "-U", "postgres", "-d", database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.process.stdin.write(f"BEGIN;\n{sql};\n\\echo held\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.strip() == "held":
                break

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)
