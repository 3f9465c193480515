"""As many reloads, and then as many upgrades, of one batond under load: what it holds at rest is what it held at first."""

import time

from kit import proc
from kit.load import Load
from kit.supervisor import Supervisor, service
from kit.waiting import wait_until

RATE = 200
# Resident memory at rest, against that after the first turn; of many, against that after a quarter of them, when what is
# kept in memory of the past has reached its bound. Few turns do not outweigh what is measured by chance.
MOST_GROWTH, MOST_GROWTH_OF_FEW, MANY = 1.05, 1.10, 400
# Seconds after which code that was needed for a moment has been given back.
REST = 2


def idle_listeners(supervisor):
    """How many stay because closing one would move another (decision 0002): they are no leak, and bounded. Asked before
    descriptors are counted, and once: batond has one more while it is asked, and is not at rest."""
    return sum(len(each["listeners"]) - 1 for each in supervisor.status()["sockets"])


class Held:
    """What batond holds when nothing is under way. Resident memory is the least of a few seconds: code that was needed for
    a moment goes again."""

    def __init__(self, supervisor):
        supervisor.wait_status(lambda seen: not seen["draining"], 60, "the old generations to be gone")
        pid, idle = supervisor.pid, idle_listeners(supervisor)
        looks, until = [], time.monotonic() + REST

        def has_rested():
            looks.append(proc.rss_bytes(pid))
            return time.monotonic() > until

        wait_until(has_rested, 2 * REST, "rest")
        self.resident = min(looks)
        self.own = proc.own_bytes(pid)
        self.threads = proc.threads(pid)
        self.descriptors = len(proc.descriptors(pid)) - idle

    def __str__(self):
        return (
            f"{self.resident >> 10:,} KiB resident, {self.own >> 10:,} of its own, {self.descriptors} descriptors, "
            f"{self.threads} threads")


def turns(count, say=print):
    """Findings, as sentences."""
    wrong = []
    with service() as made, Supervisor(made) as supervisor, Load(made.port, RATE) as load:

        def reload():
            supervisor.let_drain()
            supervisor.reload()

        def upgrade():
            supervisor.call("Upgrade", 60, wait=True)

        for name, act in (("reloads", reload), ("upgrades", upgrade)):
            act()
            first = Held(supervisor)
            say(f"{name}: after 1, {first}")
            began = time.monotonic()
            for done in range(2, count + 1):
                act()
                if count >= MANY and done % (count // 4) == 0 and done < count:
                    held = Held(supervisor)
                    say(f"{name}: after {done:,}, {held}")
                    if done == count // 4:
                        first = held
            last = Held(supervisor)
            say(f"{name}: after {count:,}, {last}; {time.monotonic() - began:.0f} s")
            if last.resident > first.resident * (MOST_GROWTH if count >= MANY else MOST_GROWTH_OF_FEW):
                wrong.append(f"{count} {name}: {last.resident >> 10} KiB resident, {first.resident >> 10} at first")
            if (last.descriptors, last.threads) != (first.descriptors, first.threads):
                wrong.append(f"{count} {name}: {last}; at first {first}")
    say(f"under load: {load.report.sent:,} requests, {load.report.failed} failed")
    if load.report.failed:
        wrong.append(f"under load: {load.report}")
    return wrong
