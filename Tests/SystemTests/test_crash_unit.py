"""A batond that dies without notice under a real systemd: what served serves again, from what systemd kept."""

import json
import pathlib
import signal
import unittest

from kit.installed import installed
from kit.load import Load
from kit.runner import either_base, within
from kit.waiting import wait_until


def colour(it):
    return it.ask("/env?COLOUR").body.strip()


def back(it, before):
    """Another batond serves."""
    wait_until(
        lambda: it.pid() not in (0, before) and it.property("ActiveState") == "active", 30,
        lambda: f"it to be back:\n{it.journal()[-3000:]}",
    )  # fmt: skip


def refused(load):
    return load.report.json["failures"].get("refused", 0)


@within(180)
class WhatServed(unittest.TestCase):
    def test_serves_again_whatever_lies_on_disk_and_however_it_died(self):
        with installed() as it:
            it.environment["COLOUR"] = "blue"
            it.start()
            it.machine.write("/etc/baton/demo.toml", "this is [no TOML")
            for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
                before = it.pid()
                with it.load(100, "--mode", "new", "--timeout", "20") as load:
                    seen = it.counts()["clients"]
                    wait_until(lambda: it.counts()["clients"] > seen + 20, 10)
                    it.kill(number)
                    back(it, before)
                    self.assertEqual(colour(it), "blue")
                self.assertEqual(refused(load), 0, load.report)
            self.assertIn("came back after it ended without notice", it.journal())
            self.assertIn("what 2 workers were answering was cut: web.1 of generation", it.journal())
            # A restart that was asked for reads what lies there.
            self.assertNotEqual(it.systemctl("restart", check=False).returncode, 0)

    def test_serves_again_after_the_kernel_killed_it_for_want_of_memory(self):
        with installed() as it:
            it.drop_in("[Service]\nMemoryMax=150M\nMemorySwapMax=0\n")
            it.environment["COLOUR"] = "blue"
            # Once, when it is told to.
            eats = f"until rm {it.home}/eat 2>/dev/null; do sleep 0.05; done; exec tail /dev/zero"
            it.engines["eater"] = it.idle(command=["/bin/sh", "-c", eats], ready={"after": "1ms"})
            it.start()
            before = it.pid()
            pathlib.Path(f"/proc/{it.machine.pid_outside(before)}/oom_score_adj").write_text("1000")
            with it.load(100, "--mode", "new", "--timeout", "20") as load:
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 20, 10)
                it.machine.write(f"{it.home}/eat", "")
                back(it, before)
                wait_until(lambda: it.counts()["clients"] > seen + 100, 20, "clients after it")
                self.assertEqual(colour(it), "blue")
            self.assertEqual(refused(load), 0, load.report)
            self.assertIn("code=killed, status=9/KILL", it.journal())
            self.assertIn("came back after it ended without notice", it.journal())

    def test_a_candidate_and_its_listener_are_given_up(self):
        with installed() as it:
            # What brings it back is its end, and no watchdog or time limit.
            it.drop_in("[Service]\nWatchdogSec=5min\nTimeoutStartSec=5min\n")
            it.environment["COLOUR"] = "blue"
            it.start()
            stored = it.property("NFileDescriptorStore")
            it.bad("never-ready", start_timeout="60s")
            it.write()
            with it.load(100, "--mode", "new", "--timeout", "20") as load:
                reload = it.machine.start("systemctl", "reload", it.unit, stderr=-3)
                wait_until(lambda: it.property("NFileDescriptorStore") == str(int(stored) + 1), 10, "its listener")
                before = it.pid()
                it.kill()
                back(it, before)
                reload.wait(60)
                wait_until(lambda: it.property("NFileDescriptorStore") == stored, 20, lambda: it.journal()[-3000:])
                self.assertEqual(colour(it), "blue")
            self.assertEqual(refused(load), 0, load.report)
            self.assertEqual(it.counts("bad")["clients"], 0)
            self.assertIn("2 listeners of 127.0.0.1:8000 came back", it.journal())

    def test_a_restart_in_the_middle_of_a_handover_loses_nobody(self):
        with installed() as it:
            it.start()
            stored = it.property("NFileDescriptorStore")
            with it.load(100, "--mode", "new", "--timeout", "20") as load:
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 20, 10)
                it.engines["web"]["command"] += ["--start-delay", "3000"]
                it.write()
                reload = it.machine.start("systemctl", "--no-block", "reload", it.unit, stderr=-3)
                wait_until(lambda: it.property("NFileDescriptorStore") == str(int(stored) + 1), 10, "its listener")
                it.systemctl("restart")
                reload.wait(60)
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen + 20, 10)
            self.assertEqual(load.report.failed, 0, load.report)


def cut_events(it):
    events = map(json.loads, it.baton("events", "demo", "--json").stdout.splitlines())
    return [each for each in events if each["kind"] == "connections-cut"]


def hold(it, rate):
    """Requests whose answers do not come in this test."""
    prefix = ("nsenter", "-t", str(it.machine.leader), "-n")
    return Load(f"http://127.0.0.1:{it.port}/slow?ms=60000", rate, "--mode", "new", "--timeout", "3", prefix=prefix, resets=True)


def closed(load):
    return load.tally()["failures"].get("closed-before-answer", 0)


@within(180)
class WhatWasCut(unittest.TestCase):
    def test_is_counted_after_it_and_the_sum_outlives_the_next_crash_and_an_upgrade(self):
        with installed() as it:
            it.start()
            total = 0
            for _ in range(2):
                total += self.check_count(it)
                self.assertEqual((it.status()["connectionsCut"], it.status()["cutsUncounted"]), (total, 0))
            it.baton("upgrade", "demo")
            self.assertEqual(it.status()["connectionsCut"], total)
            self.assertIn(f"{total} connections of workers that were killed", it.baton("status", "demo").stdout)

    @either_base
    def test_is_counted_where_the_next_start_takes_seconds(self):
        with installed() as it:
            it.drop_in("[Service]\nExecStartPre=/bin/sleep 3\n")
            it.start()
            self.check_count(it)

    def check_count(self, it):
        """As many as clients met are told, and returned."""
        before, ended = it.pid(), len(cut_events(it))
        with hold(it, 20) as load:
            # Answered ones do not count, whoever ended their connection.
            for _ in range(5):
                it.ask()
            seen = it.counts()["clients"]
            wait_until(lambda: it.counts()["clients"] >= seen + 10, 10)
            it.kill()
            back(it, before)
            wait_until(lambda: len(cut_events(it)) > ended, 10, lambda: it.journal()[-3000:])
            event = cut_events(it)[-1]
            count = int(event["reason"])
            # A client hears of its end when its turn comes.
            wait_until(lambda: closed(load) >= count - 1, 5, lambda: f"{load.tally()} {event}")
            met = closed(load)
        self.assertRegex(event["text"], r"about \d+ connections were cut when batond ended without notice")
        self.assertGreaterEqual(met, 8)
        self.assertAlmostEqual(met, count, delta=1, msg=f"{event}\n{it.journal()[-3000:]}")
        return count

    def test_is_said_not_to_be_counted_where_the_kernel_cannot_be_asked(self):
        with installed() as it:
            # sock_diag(7) is netlink.
            it.drop_in("[Service]\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n")
            it.handover = {"max-drain-time": "1s"}
            it.start()
            with hold(it, 20):
                seen = it.counts()["clients"]
                wait_until(lambda: it.counts()["clients"] > seen, 10)
                reload = it.machine.start("systemctl", "reload", it.unit)
                wait_until(lambda: cut_events(it), 20, lambda: it.journal()[-3000:])
                reload.wait(60)
            found = cut_events(it)
            self.assertTrue(all("were not counted: list the sockets" in each["text"] for each in found), found)
            self.assertTrue(all(each.get("reason") is None for each in found), found)
            self.assertEqual((it.status()["connectionsCut"], it.status()["cutsUncounted"] > 0), (0, True))
            self.assertRegex(it.baton("status", "demo").stdout, r"cut +connections of \d killed process(es)? were not counted")
