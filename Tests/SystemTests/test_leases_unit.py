"""A leased service under a real systemd: what its store does is seen in status, in `baton leases` and by the doctor."""

import json
import signal
import subprocess
import unittest

from kit import programs
from kit.installed import PROGRAMS, installed
from kit.redis import Redis
from kit.runner import within
from kit.waiting import wait_until

LIBRARY, AHEAD = f"{PROGRAMS}/uptime.so", "/run/uptime-ahead"
WAITS_LONG = "a1ce01fd79bdeffc0180d7bbbc4690a3"


def holder(it, redis):
    """Another host that has the lease, until its input is closed."""
    command = [programs.path("baton"), "lock", "run", "robots", "--store", redis.url, "--owner", "another", "--", "cat"]
    return subprocess.Popen(
        ["nsenter", "-t", str(it.machine.leader), "-n", *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


@within(120)
class Store(unittest.TestCase):
    def test_a_wait_of_five_minutes_is_told_once_and_outlives_an_upgrade_and_a_crash(self):
        with installed() as it:
            redis = Redis(it.machine)
            self.addCleanup(redis.end)
            source = (programs.ROOT / "Tests/Fixtures/clock/uptime.c").read_text()
            it.machine.write("/var/tmp/uptime.c", source)
            it.machine.run("gcc", "-shared", "-fPIC", "-O2", "-o", LIBRARY, "/var/tmp/uptime.c")
            it.machine.write(AHEAD, "0 0\n", mode=0o644)
            it.drop_in(f"[Service]\nWatchdogSec=2min\nEnvironment=LD_PRELOAD={LIBRARY} UPTIME_AHEAD={AHEAD}\n")
            it.engines["robots"] = it.idle(lease="robots")
            it.more = {"leases": {"ttl": "60s", "poll": "1s"}, "redis": {"url": redis.url}}
            other = holder(it, redis)
            self.addCleanup(other.kill)
            wait_until(lambda: "another@" in it.baton("lock", "list", "--store", redis.url).stdout, 20, "another holder")
            it.start()

            def told():
                return [each["MESSAGE"] for each in it.entries(f"MESSAGE_ID={WAITS_LONG}")]

            def findings():
                done = it.baton("doctor", "demo", "--json", check=False)
                return [each for each in json.loads(done.stdout)["findings"] if each["id"] == "lease-waits"]

            wait_until(lambda: "held by another" in it.property("StatusText"), 20, lambda: it.property("StatusText"))
            self.assertEqual((told(), findings()), ([], []))
            self.assertIn("WatchdogSec= of baton@demo.service is 2m", it.baton("check", "demo").stderr, "a drop-in's, too")
            # What has come by then is told when it has come: five minutes are not waited for here.
            it.machine.write(AHEAD, "301 301\n", mode=0o644)
            wait_until(told, 20, lambda: it.journal()[-3000:])

            def is_known():
                text = "waits for lease robots for more than 5m, held by another"
                wait_until(lambda: text in it.property("StatusText"), 20, lambda: it.property("StatusText"))
                self.assertEqual([each["severity"] for each in findings()], ["note"])
                self.assertEqual(len(told()), 1)
                self.assertIn("lease robots has not come for 5m: held by another", told()[0])

            is_known()
            it.baton("upgrade", "demo")
            wait_until(lambda: "held by another" in it.property("StatusText"), 20, lambda: it.property("StatusText"))
            is_known()
            pid = it.pid()
            it.kill()
            wait_until(lambda: it.pid() not in (0, pid), 20, "another batond")
            wait_until(lambda: "held by another" in it.property("StatusText"), 20, lambda: it.property("StatusText"))
            is_known()
            other.stdin.close()
            wait_until(lambda: it.status()["leases"][0]["works"], 20, lambda: it.journal()[-3000:])
            self.assertEqual(findings(), [])
            # systemd hears of it a moment after those who ask batond itself.
            wait_until(lambda: "more than" not in it.property("StatusText"), 20, lambda: it.property("StatusText"))

    def test_the_doctor_names_one_that_does_not_answer_until_it_does(self):
        with installed() as it:
            redis = Redis(it.machine)
            self.addCleanup(redis.end)
            it.engines["robots"] = it.idle(lease="robots")
            it.more = {"leases": {"ttl": "9s"}, "redis": {"url": redis.url}}
            it.start()

            def lease():
                return it.status()["leases"][0]

            def findings():
                done = it.baton("doctor", "demo", "--json", check=False)
                return [each for each in json.loads(done.stdout)["findings"] if each["id"].startswith("lease")]

            wait_until(lambda: lease()["works"], 20, lambda: it.journal()[-3000:])
            self.assertEqual(findings(), [])
            token = lease()["token"]
            # It takes connections and says nothing: a probe of the port alone would call it well.
            redis.send(signal.SIGSTOP)
            wait_until(lambda: lease().get("storeError"), 20, lambda: lease())
            found = findings()
            self.assertEqual([(each["id"], each["severity"]) for each in found], [("lease-store", "error")], found)
            self.assertIn("127.0.0.1", found[0]["what"])
            self.assertEqual((lease()["state"], it.status()["state"]), ("held", "serving"))
            redis.send(signal.SIGCONT)
            wait_until(lambda: not lease().get("storeError"), 20, lambda: lease())
            self.assertEqual((findings(), lease()["token"], lease()["works"]), ([], token, True))
