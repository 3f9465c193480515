"""Real stores outside of the lab machines, and what can happen to one of them. Who asks is the user `baton`."""

import contextlib
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from kit import programs
from kit.postgres import Postgres
from kit.waiting import wait_until

CLONE_NEWNS = 0x20000
SECRET, OTHER = "s3cret", "another"
# Of memory: what the host's disk is busy with is no accident of ours.
SIZE = "160M"


def own_mounts():
    """What this process mounts is its own from now on, and gone when it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def mount(folder, user):
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755,uid={pwd.getpwnam(user).pw_uid}", "baton", str(folder)], check=True)


def unmount(folder):
    subprocess.run(["umount", "-l", str(folder)], check=False)
    shutil.rmtree(folder, ignore_errors=True)


class Remote:
    """A store outside of the machines."""

    is_remote = True

    def prepare(self, box):
        """A machine needs nothing for it."""

    @property
    def url(self):
        return next(iter(self.sections.values()))["url"]


class RedisStore(Remote):
    """With a password, and an append-only file that outlives it."""

    port = 6379

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="baton-store-")
        mount(self.folder, "root")
        self.path = self.folder + "/socket"
        self.process = None
        self.start()

    @property
    def sections(self):
        return {"redis": {"url": f"redis://baton:{SECRET}@127.0.0.1:{self.port}"}}

    def start(self):
        self.process = subprocess.Popen(
            [programs.tool("redis-server", "/usr/bin"), "--port", "0", "--unixsocket", self.path, "--dir", self.folder,
             "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
             "--user", "baton", "on", f">{SECRET}", "~*", "&*", "+@all"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: self._try("PING") == "PONG", 20, "redis-server to answer")

    def _try(self, *words):
        done = subprocess.run(
            [programs.tool("redis-cli", "/usr/bin"), "-s", self.path, *words], capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    def ask(self, *words):
        answer = self._try(*words)
        if answer.startswith(("ERR", "MISCONF", "Could not")):
            raise AssertionError(f"{words}: {answer}")
        return answer

    def connect(self):
        made = socket.socket(socket.AF_UNIX)
        made.connect(self.path)
        return made

    def close(self):
        self.process.kill()
        self.process.wait()
        unmount(self.folder)

    # Accidents

    def pause(self, seconds):
        self.ask("CLIENT", "PAUSE", str(int(seconds * 1000)), "ALL")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def forget(self):
        self.ask("FLUSHALL")

    def fill(self):
        self.ask("CONFIG", "SET", "maxmemory", "1")

    def empty(self):
        self.ask("CONFIG", "SET", "maxmemory", "0")

    def lock_out(self):
        self.ask("ACL", "SETUSER", "baton", "resetpass", f">{OTHER}")
        # Who has said the right one is not asked again.
        self.ask("CLIENT", "KILL", "USER", "baton")

    def let_in(self):
        self.ask("ACL", "SETUSER", "baton", "resetpass", f">{SECRET}")

    def make_read_only(self):
        # Of a primary that nobody has ever seen.
        self.ask("REPLICAOF", "127.0.0.1", "1")

    def make_writable(self):
        self.ask("REPLICAOF", "NO", "ONE")


class PostgresStore(Remote, Postgres):
    """With a password, on a disk of its own that can be full."""

    port = 5432

    def __init__(self):
        super().__init__(max_connections="60", wal_recycle="off", min_wal_size="32MB", max_wal_size="48MB")
        self.session = None
        os.chmod(self.folder, 0o755)
        mount(self.folder, "postgres")
        self.__enter__()
        self.psql(f"CREATE ROLE baton LOGIN PASSWORD '{SECRET}'; CREATE SCHEMA baton AUTHORIZATION baton")
        (self.data / "pg_hba.conf").write_text("local all postgres trust\nlocal all baton scram-sha-256\n")
        self.psql("SELECT pg_reload_conf()")

    url = Remote.url

    @property
    def sections(self):
        return {"database": {"url": f"postgres://baton:{SECRET}@127.0.0.1:{self.port}/postgres"}}

    def connect(self):
        made = socket.socket(socket.AF_UNIX)
        made.connect(f"{self.folder}/.s.PGSQL.5432")
        return made

    def close(self):
        self.stop()
        unmount(self.folder)

    # Accidents

    def pause(self, seconds):
        """Nobody gets at the rows."""
        self.hold = subprocess.Popen(
            [programs.tool("psql", "/usr/lib/postgresql/*/bin"), "-XAtq", "-h", str(self.folder), "-U", "postgres", "-c",
             f"BEGIN; LOCK TABLE baton.lease, baton.instance; SELECT pg_sleep({seconds}); COMMIT"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def forget(self):
        self.psql("DELETE FROM baton.lease; DELETE FROM baton.instance")

    def fill(self):
        with contextlib.suppress(OSError), open(self.folder / "fill", "wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 65536)
        # So that the log has to grow.
        with contextlib.suppress(subprocess.CalledProcessError):
            self.psql("SELECT pg_switch_wal()")

    def empty(self):
        pathlib.Path(self.folder / "fill").unlink(missing_ok=True)
        if not self.answers():
            # It stopped for want of room: whoever runs it starts it again.
            with contextlib.suppress(ProcessLookupError):
                self.kill()
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            self.start()

    def _hang_up(self):
        self.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'baton'")

    def lock_out(self):
        self.psql(f"ALTER ROLE baton PASSWORD '{OTHER}'")
        self._hang_up()

    def let_in(self):
        self.psql(f"ALTER ROLE baton PASSWORD '{SECRET}'")

    def make_read_only(self):
        self.psql("ALTER ROLE baton SET default_transaction_read_only = on")
        self._hang_up()

    def make_writable(self):
        self.psql("ALTER ROLE baton RESET default_transaction_read_only")
        self._hang_up()


class FileStore:
    """A file of one machine, where each host is a service, on a disk that can be full."""

    is_remote = False
    sections = {}
    url = "/var/lib/baton/leases.db"

    def prepare(self, box):
        self.box = box
        box.run("mkdir", "-p", "/var/lib/baton")
        box.run("mount", "-t", "tmpfs", "-o", "size=12M,mode=755", "baton", "/var/lib/baton")

    def close(self):
        """Gone with its machine."""

    # Accidents

    def pause(self, seconds):
        """Somebody else is writing."""
        self.box.start(
            "bash", "-c", f"printf 'BEGIN EXCLUSIVE;\\n.shell sleep {seconds}\\nCOMMIT;\\n' | sqlite3 -cmd '.timeout 5000' {self.url}",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def fill(self):
        self.box.run("dd", "if=/dev/zero", "of=/var/lib/baton/fill", "bs=4k", check=False)

    def empty(self):
        self.box.run("rm", "/var/lib/baton/fill")


STORES = {"redis": RedisStore, "postgres": PostgresStore, "file": FileStore}
