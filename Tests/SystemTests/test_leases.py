"""One lease, two machines with a real systemd each, a Redis that both reach: what systemd has to do with it."""

import signal
import unittest

from kit import machine, proc
from kit.ownership import replay
from kit.ownership.cluster import Cluster
from kit.ownership.sink import now
from kit.runner import within
from kit.waiting import wait_until


@within(180)
class TwoHosts(unittest.TestCase):
    def setUp(self):
        reason = machine.missing()
        if reason:
            self.skipTest(reason)

    def effects(self, cluster):
        return [each for each in replay.read(cluster.sink.path) if each["what"] == "effect"]

    def test_a_crash_and_a_batond_that_stands_still_leave_the_lease_with_their_host(self):
        with Cluster("redis", 2, watchdog=2.0) as cluster:
            host = cluster.holder()
            token = cluster.sink.last[2]
            # A crash: systemd starts it again, and it is the same owner.
            worker, died = host.worker(), now()
            cluster.sink.note("helpless", host=host.name)
            proc.kill(host.batond())
            wait_until(lambda: not proc.alive(worker), 10, "systemd to end what is left")
            again = cluster.wait_effect(died + 0.1, 20)
            cluster.sink.note("able", host=host.name)
            self.assertEqual(again[1:], (host.name, token))
            self.assertLess(again[0] - died, cluster.ttl / 2, "at once, and not after its time")
            # One that stands still: the watchdog ends it with its engine before the lease can expire, and before the time
            # that is for ending it.
            cluster.wait_settled()
            before, worker = host.pid(), host.worker()
            wait_until(lambda: cluster.sink.proven - now() > cluster.ttl * 0.6, 20, "a renewal")
            stopped = now()
            proc.kill(host.batond(), signal.SIGSTOP)
            wait_until(lambda: not proc.alive(worker), cluster.ttl, "the watchdog to end its engine")
            ended = now()
            wait_until(lambda: host.pid() not in (0, before), 10, "another batond")
            again = cluster.wait_effect(ended, 20)
            self.assertEqual(again[1:], (host.name, token))
            self.assertIn("Watchdog timeout", host.journal())
            limit = cluster.ttl - cluster.ttl / 3 - cluster.ttl / 10
            self.assertLess(ended - stopped, limit + 0.5)
            cluster.wait_settled()
            cluster.sink.note("ends")
            found = replay.replay(replay.read(cluster.sink.path), cluster.ttl, cluster.slack)
            self.assertEqual(found.complaints, [])
            self.assertEqual({each["host"] for each in self.effects(cluster)}, {host.name})


if __name__ == "__main__":
    unittest.main()
