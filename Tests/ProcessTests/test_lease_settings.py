"""Settings of leases that change under a service that runs: taken over, or refused before anything ends."""

import os
import pathlib
import subprocess
import unittest

from kit import programs
from kit.leased import Hosts
from kit.locks import Redis
from kit.runner import within
from kit.waiting import holds_for, wait_until


def working(hosts, since):
    """Until there are twenty writes more than there were."""
    wait_until(lambda: len(hosts.writes) > since + 20, 20, hosts.logs)


@within(200)
class Changes(unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(Redis())

    def cli(self, *words):
        return subprocess.run(
            [programs.tool("redis-cli", "/usr/bin"), "-s", self.redis.socket, *words], capture_output=True, text=True,
            check=True, timeout=30).stdout.strip()

    def check(self, host):
        return subprocess.run(
            [programs.path("baton"), "check", str(host.of.file)], capture_output=True, text=True, timeout=30,
            env={**host.environment, "BATON_CONTROL": str(host.control)})

    def test_another_store_is_refused_and_nothing_ends(self):
        with Hosts(ttl="20s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            engine = host.pids("robots")
            self.assertNotIn("a reload refuses", self.check(host).stderr)
            for change, words in (
                ({"redis": {"url": f"redis+unix://user:hunter2@{self.redis.socket}"}}, "leases lie in this host's file"),
                ({"leases": {"ttl": "9s", "poll": "2s"}}, "ttl is 20s, not 9s"),
            ):
                with self.subTest(words):
                    host.of.more = {**hosts.more, "leases": {"ttl": "20s", "poll": "2s"}, **change}
                    host.of.write()
                    checked = self.check(host)
                    self.assertEqual(checked.returncode, 0, "it is good for a start")
                    self.assertIn("a reload refuses this: ", checked.stderr)
                    self.assertIn(words, checked.stderr)
                    verdict = host.refused()
                    self.assertEqual(verdict["outcome"], "settingsWrong")
                    self.assertIn(words, verdict["what"])
                    self.assertIn("stop it on every host", verdict["what"])
                    self.assertNotIn("hunter2", str(verdict) + checked.stderr + host.log())
                    working(hosts, len(hosts.writes))
                    self.assertEqual(host.pids("robots"), engine)
                    self.assertEqual({(each.owner, each.token) for each in hosts.replay(self)}, {("a", work.token)})
            self.assertEqual(self.cli("DBSIZE"), "0")
            # A start has them, from where they are then.
            host.of.more = {"redis": {"url": f"redis+unix://{self.redis.socket}"}, "leases": {"ttl": "9s"}}
            host.stop()
            host.start()
            host.wait_serving()
            hosts.wait_for_work("a", above=work.token)
            hosts.replay(self)
            self.assertNotEqual(self.cli("EXISTS", "{baton}:lease:robots"), "0")

    def test_another_password_of_the_same_store_is_taken_over(self):
        self.cli("ACL", "SETUSER", "shop", "on", ">hunter2", "~*", "&*", "+@all")
        with Hosts(ttl="3s") as hosts:
            file = pathlib.Path(hosts.folder / "url")
            file.write_text(f"redis+unix://shop:hunter2@{self.redis.socket}\n")
            hosts.more = {"redis": {"url-file": str(file)}}
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            engine = host.pids("robots")
            self.cli("ACL", "SETUSER", "shop", ">swordfish")
            file.write_text(f"redis+unix://shop:swordfish@{self.redis.socket}\n")
            host.of.more["leases"]["margin"] = "1s"
            self.assertEqual(host.reload()["outcome"], "done")
            # And whoever still has the old one is shut out.
            self.cli("ACL", "SETUSER", "shop", "<hunter2")
            self.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            last = hosts.writes[-1].at
            wait_until(lambda: hosts.writes[-1].at > last + 7, 20, hosts.logs)
            self.assertEqual({(each.owner, each.token) for each in hosts.replay(self)}, {("a", work.token)})
            self.assertNotIn("password is wrong", host.log())
            self.assertNotIn("swordfish", host.log())
            self.assertNotEqual(engine, [])

    def test_a_wrong_new_password_is_said_while_the_lease_is_proven(self):
        self.cli("ACL", "SETUSER", "shop", "on", ">hunter2", "~*", "&*", "+@all")
        with Hosts({"redis": {"url": f"redis+unix://shop:hunter2@{self.redis.socket}"}}, ttl="40s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            host.of.more["redis"] = {"url": f"redis+unix://shop:sesame@{self.redis.socket}"}
            self.assertEqual(host.reload()["outcome"], "done")
            host.wait_for_log("user or password is wrong", 5)
            working(hosts, len(hosts.writes))
            host.of.more["redis"] = {"url": f"redis+unix://shop:hunter2@{self.redis.socket}"}
            self.assertEqual(host.reload()["outcome"], "done")
            host.wait_for_log("the store of leases answers again", 5)
            self.assertEqual({(each.owner, each.token) for each in hosts.replay(self)}, {("a", work.token)})

    def test_a_lease_that_no_engine_needs_any_more_is_given_back_and_forgotten(self):
        with Hosts(ttl="20s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            hosts.start("b")
            host.of.engines["robots"] = host.of.idle()
            self.assertEqual(host.reload()["outcome"], "done")
            hosts.wait_for_work("b", above=work.token)
            host.wait_status(lambda seen: not seen.get("leases"), 10, "no lease")
            self.assertNotIn("lease", host.status()["text"])
            hosts.replay(self)

    def test_a_file_that_cannot_be_written_is_said_once(self):
        with Hosts(ttl="1s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            folder = pathlib.Path(host.runtime / "lease")
            folder.rename(hosts.folder / "aside")
            folder.write_text("in the way")
            host.wait_for_log("the file of lease robots cannot be written", 10)
            began = hosts.writes[-1].at
            wait_until(lambda: hosts.writes[-1].at > began + 2, 20, hosts.logs)
            self.assertEqual(host.log().count("the file of lease robots cannot be written"), 1)
            self.assertEqual({each.token for each in hosts.replay(self)}, {work.token}, "held all the same")
            folder.unlink()
            folder.mkdir()
            wait_until(lambda: os.path.exists(folder / "robots"), 5, hosts.logs)
            holds_for(lambda: host.log().count("cannot be written") == 1, 0.5)


if __name__ == "__main__":
    unittest.main()
