"""By which clock a lease is held: the one that goes on while the host is suspended."""

import contextlib
import glob
import pathlib
import subprocess
import unittest

from kit import proc, programs
from kit.leased import Hosts
from kit.runner import within
from kit.waiting import wait_until

SOURCE = programs.ROOT / "Tests/Fixtures/clock/uptime.c"
# As timerfd_create(2) numbers it, and proc_pid_fdinfo(5) says it.
BOOTTIME = 7


def timers(pid):
    """(clock, seconds to go) of each timer that is armed."""
    found = []
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        text = ""
        # Some are closed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            text = pathlib.Path(path).read_text()
        if "clockid:" not in text:
            continue
        facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        seconds, nanoseconds = facts["it_value"].strip(" ()").split(",")
        if int(seconds) or int(nanoseconds):
            found.append((int(facts["clockid"]), int(seconds) + int(nanoseconds) / 1e9))
    return found


@within(60)
class Clock(unittest.TestCase):
    def test_a_holder_is_woken_by_the_clock_that_counts_a_suspend(self):
        with Hosts(ttl="21s") as hosts:
            host = hosts.start("a")
            hosts.wait_for_work("a")
            # Its next renewal: a third of the time at most.
            armed = wait_until(lambda: [left for clock, left in timers(host.pid) if clock == BOOTTIME], 5, "a timer")
            self.assertEqual(len(armed), 1, armed)
            self.assertTrue(0 < armed[0] <= 7, armed)

    def test_an_engine_is_ended_when_its_host_was_suspended_for_longer_than_its_lease(self):
        with Hosts(ttl="3s", stubborn=True) as hosts:
            ahead, library = hosts.folder / "ahead", hosts.folder / "uptime.so"
            ahead.write_text("0 0\n")
            subprocess.run([programs.tool("gcc"), "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True, timeout=60)
            host = hosts.start("a", environment={"LD_PRELOAD": str(library), "UPTIME_AHEAD": str(ahead)})
            token = hosts.wait_for_work("a").token
            worker = host.pids("robots")[0]
            ahead.write_text("3600 0\n")
            # It has slept through its time: nothing waits for TERM to be obeyed.
            host.wait_for_log("could not be renewed in time", 5)
            wait_until(lambda: not proc.alive(worker), 1, hosts.logs)
            hosts.wait_for_work("a", above=token)
            hosts.replay(self)
            for pid in [host.pid, *proc.descendants(host.pid)]:
                proc.kill(pid)


if __name__ == "__main__":
    unittest.main()
