"""Stores that are slow, full, read-only, of another kind or another program's: said clearly, and nothing runs twice."""

import contextlib
import os
import socket
import subprocess
import time
import unittest

from kit import programs
from kit.leased import Hosts
from kit.locks import Redis
from kit.ownership.link import Link
from kit.ownership.sink import now
from kit.ownership.stores import PostgresStore, RedisStore, own_mounts
from kit.postgres import Postgres
from kit.runner import within
from kit.waiting import holds_for, let_pass, wait_until


def url(kind, port, secret="baton:hunter2@"):
    if kind == "redis":
        return {"redis": {"url": f"redis://{secret}127.0.0.1:{port}"}}
    return {"database": {"url": f"postgres://{secret}127.0.0.1:{port}/postgres?sslmode=disable"}}


class Stores:
    """The same promises for each kind; `self.store` is one of kit.ownership.stores, `self.link` the way to it."""

    kind = None

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("a disk of its own needs root")
        own_mounts()
        self.store = {"redis": RedisStore, "postgres": PostgresStore}[self.kind]()
        self.addCleanup(self.store.close)
        self.link = Link(None, 0, self.store.connect)
        self.addCleanup(self.link.close)

    def make(self, **options):
        return Hosts(url(self.kind, self.link.port, "baton:s3cret@"), **options)

    def ends_in_time(self, hosts, began, ttl, said):
        """The engine works until the lease is no longer proven and not beyond, nobody else does, and it is said why."""
        hosts.hosts["a"].wait_for_log(said, 20)
        hosts.hosts["a"].wait_for_log("could not be renewed in time", ttl + 5)
        # It is told to end then, and may write until it has.
        hosts.hosts["a"].wait_for_log("robots.1 ended", ttl)
        self.assertEqual(hosts.hosts["a"].status()["engines"][0]["state"], "standby")
        token = hosts.writes[0].token
        last = max(each.at for each in hosts.writes if each.token == token)
        self.assertLess(last, began + ttl)
        self.assertGreater(last, began + ttl / 3, "what is proven is used")
        holds_for(lambda: hosts.writes[-1].at == last, 0.3)
        self.assertNotIn("s3cret", "".join(host.log() for host in hosts.hosts.values()))

    def goes_on(self, hosts):
        """With a new token, or with the same one where a renewal that nobody waited for any more kept it."""
        mended = now()
        wait_until(lambda: hosts.writes[-1].at > mended, 30, hosts.logs)
        hosts.replay(self)

    def trouble(self, begin, end, said, ttl=3):
        with self.make(ttl=f"{ttl}s") as hosts:
            hosts.start("a")
            hosts.wait_for_work("a")
            hosts.start("b").wait_for_log("waiting for lease robots", 20)
            began = now()
            begin()
            self.ends_in_time(hosts, began, ttl, said)
            end()
            self.goes_on(hosts)

    def test_one_that_answers_too_late(self):
        self.trouble(lambda: self.link.slow(2), self.link.mend, "cannot be asked: ")

    def test_one_far_away(self):
        """Connecting takes longer than any answer may: it is connected to all the same."""
        self.link.slow(self.delay)
        with self.make(ttl="6s") as hosts:
            host = hosts.start("a")
            began = time.monotonic()
            work = hosts.wait_for_work("a", within=30)
            self.assertLess(time.monotonic() - began, 10)
            wait_until(lambda: hosts.writes[-1].at > work.at + 7, 20, hosts.logs)
            self.assertEqual({each.token for each in hosts.replay(self)}, {work.token})
            self.assertNotIn("could not be renewed", host.log())

    def test_a_full_one(self):
        self.trouble(self.store.fill, self.store.empty, self.full)

    def test_a_read_only_one(self):
        self.trouble(self.store.make_read_only, self.store.make_writable, self.read_only)

    def test_a_password_that_is_another_one_now(self):
        self.trouble(self.store.lock_out, self.store.let_in, "password")

    def test_one_that_is_refused(self):
        self.trouble(self.link.refuse, self.link.mend, "Connection refused")


@within(200)
class InRedis(Stores, unittest.TestCase):
    kind, delay = "redis", 0.1
    full, read_only = "its memory is full", "name the primary"


@within(200)
class InPostgres(Stores, unittest.TestCase):
    kind, delay = "postgres", 0.03
    full, read_only = "cannot be asked: ", "nothing can be written"


@within(100)
class OfAnotherKind(unittest.TestCase):
    """What answers is something else: it is said so, nothing is started, and the secret is kept."""

    def refused(self, kind, connect, nonsense, *words):
        link = Link(None, 0, connect)
        self.addCleanup(link.close)
        if nonsense is not None:
            link.babble(nonsense)
        with Hosts(url(kind, link.port), ttl="2s") as hosts:
            host = hosts.start("a")
            host.wait_for_log("the store of leases cannot be asked", 20)
            for word in words:
                host.wait_for_log(word, 10)
            holds_for(lambda: not hosts.writes, 0.5)
            self.assertEqual(host.status()["state"], "serving")
            self.assertNotIn("hunter2", host.log() + host.status()["text"])
            self.assertEqual(host.stop()[0], 0)

    def test_a_redis_that_is_a_web_server(self):
        self.refused("redis", None, b"HTTP/1.1 400 Bad Request\r\n\r\n", "no Redis")

    def test_a_redis_that_is_a_mail_server(self):
        self.refused("redis", None, b"220 mail ESMTP ready\r\n", "no Redis")

    def test_a_redis_that_says_yes_to_everything(self):
        self.refused("redis", None, b"+OK\r\n", "the answer is not what was asked for")

    def test_a_redis_that_is_a_postgresql(self):
        with Postgres() as server:
            self.refused("redis", lambda: connected(f"{server.folder}/.s.PGSQL.5432"), None)

    def test_a_postgresql_that_is_a_web_server(self):
        self.refused("postgres", None, b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def test_a_postgresql_that_is_a_mail_server(self):
        self.refused("postgres", None, b"220 mail ESMTP ready\r\n")

    def test_a_postgresql_that_is_a_redis(self):
        with Redis() as redis:
            self.refused("postgres", lambda: connected(redis.socket), None)


def connected(path):
    made = socket.socket(socket.AF_UNIX)
    made.connect(path)
    return made


@within(100)
class OfAnotherProgram(unittest.TestCase):
    def cli(self, redis, *words):
        return subprocess.run(
            [programs.tool("redis-cli", "/usr/bin"), "-s", redis.socket, *words], capture_output=True, text=True, check=True,
            timeout=30).stdout.strip()

    def test_keys_that_were_there_before(self):
        for key, value in (("{baton}:tokens", ("SET", "theirs")), ("{baton}:labels", ("RPUSH", "theirs"))):
            with self.subTest(key), Redis() as redis:
                self.cli(redis, value[0], key, value[1])
                with Hosts({"redis": {"url": f"redis+unix://{redis.socket}"}}, ttl="2s") as hosts:
                    host = hosts.start("a")
                    host.wait_for_log("cannot be asked", 10)
                    holds_for(lambda: not hosts.writes, 0.5)
                    self.assertEqual(self.cli(redis, "TYPE", key), "string" if value[0] == "SET" else "list")
                    # No lease is left behind that nobody knows of.
                    self.assertEqual(self.cli(redis, "EXISTS", "{baton}:lease:robots"), "0")

    def test_a_key_that_comes_over_ours(self):
        with Redis() as redis, Hosts({"redis": {"url": f"redis+unix://{redis.socket}"}}, ttl="3s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            self.cli(redis, "SET", "{baton}:lease:robots", "theirs")
            host.wait_for_log("another program has keys", 10)
            host.wait_for_log("could not be renewed in time", 10)
            count = len(hosts.writes)
            holds_for(lambda: len(hosts.writes) <= count + 1, 2)
            self.assertLess(host.log().count("cannot be asked"), 4, "said once, and not each time it is asked")
            self.assertEqual(self.cli(redis, "GET", "{baton}:lease:robots"), "theirs")
            self.cli(redis, "DEL", "{baton}:lease:robots")
            hosts.wait_for_work("a", above=work.token)
            hosts.replay(self)

    def test_a_schema_that_is_anothers(self):
        for made in ("CREATE TABLE baton.lease (id int)", "CREATE VIEW baton.lease AS SELECT 1 AS name"):
            with self.subTest(made), Postgres() as server:
                server.psql(f"CREATE SCHEMA baton; {made}")
                with Hosts({"database": {"url": server.url()}}, ttl="2s") as hosts:
                    host = hosts.start("a")
                    host.wait_for_log("another program has a schema baton there", 15)
                    holds_for(lambda: not hosts.writes, 0.5)
                    self.assertEqual(host.status()["state"], "serving")


@within(100)
class InAFile(unittest.TestCase):
    def test_a_full_disk(self):
        """From the start nothing runs; later what is held is used for as long as it is proven."""
        if os.geteuid() != 0:
            self.skipTest("a disk of its own needs root")
        own_mounts()
        with Hosts(ttl="3s") as hosts:
            disk = hosts.folder / "disk"
            disk.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "baton", str(disk)], check=True)
            hosts.stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
            (hosts.folder / "leases.db").symlink_to(disk / "leases.db")
            fill(disk)
            host = hosts.start("a")
            host.wait_for_log("cannot be asked", 10)
            self.assertIn("full", host.status()["text"])
            holds_for(lambda: not hosts.writes, 0.5)
            (disk / "fill").unlink()
            work = hosts.wait_for_work("a")
            # SQLite's log has its room already, or has not: it holds either way.
            fill(disk)
            hosts.start("b")
            let_pass(4)
            (disk / "fill").unlink()
            wait_until(lambda: hosts.writes[-1].at > now() - 0.2, 20, hosts.logs)
            self.assertGreaterEqual(hosts.replay(self)[-1].token, work.token)

    def test_a_file_that_is_moved_away(self):
        """Whoever comes makes another one: those who have the old one open must not go on with it for themselves."""
        with Hosts(ttl="3s") as hosts:
            hosts.start("a")
            work = hosts.wait_for_work("a")
            for each in hosts.folder.glob("leases.db*"):
                each.rename(hosts.folder / f"away-{each.name}")
            moved = now()
            hosts.start("b")
            wait_until(lambda: hosts.writes[-1].at > moved + 4, 20, hosts.logs)
            late = [each for each in hosts.replay(self, stale_from=("a",)) if not each.accepted]
            self.assertTrue(all(each.at < moved + 2 for each in late), "until its next renewal")
            self.assertTrue(all(each.token > work.token for each in hosts.writes if each.at > moved + 2))


def fill(disk):
    with contextlib.suppress(OSError), open(disk / "fill", "wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


if __name__ == "__main__":
    unittest.main()
