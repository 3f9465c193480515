"""Engines under a lease: of several supervisors one runs them, whatever happens to it, to the others and to the store."""

import json
import os
import signal
import time
import unittest

from kit import proc
from kit.leased import Hosts
from kit.locks import Redis
from kit.postgres import Postgres
from kit.runner import within
from kit.waiting import holds_for, wait_until


class Stores:
    """The same promises hold wherever leases lie."""

    def make(self, **options):
        raise NotImplementedError

    def test_one_of_three_runs_it_and_hands_it_over_in_order(self):
        with self.make(ttl="20s") as hosts:
            first = hosts.start("a")
            work = hosts.wait_for_work("a")
            hosts.start("b")
            hosts.start("c")
            status = hosts.hosts["b"].status()
            self.assertEqual([(each["state"], each["wanted"]) for each in status["engines"]], [("standby", 0)])
            self.assertEqual(status["state"], "serving")
            self.assertIn("waits for lease robots", status["text"])
            code, _ = first.stop()
            self.assertEqual(code, 0)
            wait_until(lambda: {each.owner for each in hosts.writes} & {"b", "c"}, 10, hosts.logs)
            writes = hosts.replay(self)
            second = writes[-1].owner
            self.assertGreater(writes[-1].token, work.token)
            self.assertLess(hosts.gap("a", second), 1.0, "woken, not waited for the poll")
            self.assertEqual({each.owner for each in writes}, {"a", second})

    def test_it_is_renewed_in_its_time_and_not_oftener(self):
        with self.make(ttl="6s") as hosts:
            holder = hosts.start("a")
            hosts.wait_for_work("a")
            hosts.start("b")
            proof = holder.runtime / "lease/robots"

            def expires():
                return float(proof.read_text().split("expires=")[1])

            times = [wait_until(expires, 10, hosts.logs)]
            for _ in range(2):
                times.append(wait_until(lambda: expires() if expires() > times[-1] else None, 10, hosts.logs))
            # A third of it. The first may come as soon as somebody else is there.
            self.assertGreater(times[-1] - times[-2], 1, times)

    def test_a_reload_keeps_the_lease(self):
        with self.make(ttl="20s") as hosts:
            first = hosts.start("a")
            hosts.wait_for_work("a")
            hosts.start("b")
            first.of.engines["robots"]["environment"] = {"X": "1"}
            first.reload()
            count = len(hosts.writes)
            wait_until(lambda: len(hosts.writes) > count + 20, 10, hosts.logs)
            self.assertEqual({(each.owner, each.token) for each in hosts.replay(self)}, {("a", hosts.writes[0].token)})

    def test_how_the_other_holder_is_doing_is_seen(self):
        with self.make(ttl="12s") as hosts:
            first = hosts.start("a")
            work = hosts.wait_for_work("a")
            second = hosts.start("b")

            def seen():
                return json.loads(second.baton("leases", "--json").stdout)["leases"][0]

            waits = wait_until(lambda: seen() if "holder" in seen() else None, 10, hosts.logs)
            self.assertEqual((waits["state"], waits["holderToken"], waits["holderAlive"]), ("waiting", work.token, True))
            self.assertTrue(6_000 < waits["holderRemainingMs"] <= 12_000, waits)
            self.assertLess(abs(time.time() - waits["holderSeenUsec"] / 1e6), 5)
            self.assertEqual(waits["ttlMs"], 12_000)
            row = second.baton("leases").stdout.splitlines()[1].split()
            self.assertEqual((row[0], row[1], row[3]), ("robots", "waiting", "yes"))
            # For longer than it lasts: what the store says is asked for again.
            renewed = waits["holderSeenUsec"] + 9_000_000
            waits = wait_until(lambda: seen() if seen()["holderSeenUsec"] > renewed else None, 20, hosts.logs)
            self.assertTrue(waits["holderAlive"] and waits["holderRemainingMs"] > 5_000, waits)
            for pid in [first.pid, *proc.descendants(first.pid)]:
                proc.kill(pid)
            waits = wait_until(lambda: seen() if seen().get("holderAlive") is False else None, 20, hosts.logs)
            self.assertEqual((waits["state"], waits["holderToken"]), ("waiting", work.token))
            self.assertLess(waits["holderRemainingMs"], 7_000)
            hosts.wait_for_work("b", above=work.token)
            held = seen()
            self.assertEqual(held["state"], "held")
            self.assertFalse({"holder", "holderAlive", "holderRemainingMs"} & set(held))
            hosts.replay(self)

    def test_a_killed_holder_is_followed_within_its_time(self):
        with self.make(ttl="3s") as hosts:
            first = hosts.start("a")
            work = hosts.wait_for_work("a")
            hosts.start("b")
            workers = [first.pid, *proc.descendants(first.pid)]
            for pid in workers:
                proc.kill(pid)
            hosts.wait_for_work("b", above=work.token)
            hosts.replay(self)
            self.assertLess(hosts.gap("a", "b"), 3 + 1.5, "its time and a second, and the start of the engine")

    def test_a_stopped_holder_is_refused_and_ends_its_engine_when_it_wakes(self):
        with self.make(ttl="2s") as hosts:
            first = hosts.start("a")
            work = hosts.wait_for_work("a")
            hosts.start("b")
            engine = first.pids("robots")[0]
            proc.stop_between_writes(first.pid)
            hosts.wait_for_work("b", above=work.token)
            os.kill(first.pid, signal.SIGCONT)
            wait_until(lambda: not proc.alive(engine), 10, hosts.logs)
            self.assertEqual(first.status()["engines"][0]["state"], "standby")
            woken = time.clock_gettime(time.CLOCK_BOOTTIME)
            holds_for(lambda: not [each for each in hosts.writes if each.owner == "a" and each.at > woken], 0.3)
            writes = hosts.replay(self, stale_from=("a",))
            # And it waits as any other, instead of ending for ever beside another.
            def waits(seen):
                return seen["leases"][0]["state"] == "waiting" and "b@" in seen["leases"][0].get("holder", "")

            first.wait_status(waits, 5, "that it waits for the other one")
            # Only while nobody could end it: what it wrote meanwhile was refused.
            self.assertTrue([each for each in writes if not each.accepted])
            second = next(each for each in writes if each.owner == "b")
            self.assertFalse([each for each in writes if each.owner == "a" and each.accepted and each.at > second.at])


@within(200)
class InAFile(Stores, unittest.TestCase):
    def make(self, **options):
        return Hosts(**options)


@within(200)
class InRedis(Stores, unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(Redis())

    def make(self, **options):
        return Hosts({"redis": {"url": f"redis+unix://{self.redis.socket}"}}, **options)


@within(200)
class InPostgres(Stores, unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Postgres())

    def make(self, **options):
        return Hosts({"database": {"url": self.server.url()}}, **options)

    def helper(self, host):
        """The process that asks the database for it; nil when there is none."""
        found = [pid for pid in proc.children(host.pid) if "--keep-leases" in proc.command_line(pid)]
        self.assertLessEqual(len(found), 1)
        return found[0] if found else None

    def test_a_helper_that_dies_or_hangs_is_followed_by_another(self):
        with self.make(ttl="4s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            self.assertNotIn(self.server.url(), "".join(proc.command_line(self.helper(host))))
            for number in (signal.SIGKILL, signal.SIGSTOP):
                with self.subTest(number):
                    old = self.helper(host)
                    os.kill(old, number)
                    self.addCleanup(proc.kill, old)
                    began = time.clock_gettime(time.CLOCK_BOOTTIME)
                    wait_until(lambda: hosts.writes[-1].at > began + 6, 20, hosts.logs)
                    self.assertEqual({(each.owner, each.token) for each in hosts.replay(self)}, {("a", work.token)})
                    if number == signal.SIGSTOP:
                        # It was cut off, and ends by itself as soon as it can.
                        os.kill(old, signal.SIGCONT)
                    wait_until(lambda: not proc.alive(old), 10, hosts.logs)
                    self.assertNotIn(self.helper(host), (None, old))
            host.stop()
            self.assertEqual(proc.children(host.pid), [])


if __name__ == "__main__":
    unittest.main()
