"""The accidents. What one may cost is in the sink's log: when the store was away from all, and which host was helpless.

`helpless`: nothing on that host can end the engine (batond stands still or is dead, the machine stands still). Only the
token protects then.
"""

import contextlib
import dataclasses
import signal

from kit import proc
from kit.ownership.link import NONSENSE
from kit.ownership.sink import now
from kit.waiting import let_pass, wait_until


@dataclasses.dataclass
class Accident:
    """`stores`: the kinds it can happen to; all when empty."""

    name: str
    play: object
    stores: tuple
    what: str


ACCIDENTS = {}
REMOTE = ("redis", "postgres")


def accident(*stores):
    def add(play):
        name = play.__name__.replace("_", "-")
        ACCIDENTS[name] = Accident(name, play, stores, play.__doc__)
        return play

    return add


@contextlib.contextmanager
def helpless(cluster, *hosts):
    """Until each of them answers again."""
    for host in hosts:
        cluster.sink.note("helpless", host=host.name)
    yield
    for host in hosts:
        # An answer comes after what was due by its clock.
        wait_until(lambda host=host: host.lease(), 40, lambda host=host: f"{host.name} to answer")
        cluster.sink.note("able", host=host.name)


@contextlib.contextmanager
def away(cluster):
    """No host can ask the store meanwhile."""
    cluster.sink.note("away")
    yield
    cluster.sink.note("back")


def some(cluster, dice):
    """The holder more often than not."""
    return cluster.holder() if dice.random() < 0.7 and cluster.holder() else dice.choice(cluster.hosts)


def followed(cluster, host, since):
    """Another one works."""
    cluster.wait_effect(
        since, cluster.ttl + cluster.slack + 10, f"another than {host.name}", lambda last: last[1] != host.name)


# batond


def kill(cluster, *hosts):
    before = {host.name: host.pid() for host in hosts}
    with helpless(cluster, *hosts):
        for host in hosts:
            proc.kill(host.machine.pid_outside(before[host.name]))
        for host in hosts:
            wait_until(lambda host=host: host.pid() not in (0, before[host.name]), 30, "another batond")


@accident()
def batond_killed(cluster, dice):
    """batond is killed: systemd starts it again, and it has its lease at once"""
    host = cluster.holder()
    died = now()
    kill(cluster, host)
    last = cluster.wait_effect(died + 0.05, 20)
    if last[1] != host.name:
        raise AssertionError(f"{host.name} was started again, and {last[1]} works: {last[0] - died:.2f} s later")


@accident()
def batonds_killed(cluster, dice):
    """several batonds are killed at once"""
    kill(cluster, *dice.sample(cluster.hosts, dice.randint(1, len(cluster.hosts))))


@accident()
def batond_killed_again_and_again(cluster, dice):
    """batond is killed as soon as it is there"""
    host = some(cluster, dice)
    for _ in range(dice.randint(2, 4)):
        kill(cluster, host)
        let_pass(dice.uniform(0, 0.3))


@accident()
def batond_stands_still(cluster, dice):
    """batond is stopped until systemd's watchdog ends it: its engine is gone before the lease is another's"""
    # The watchdog's limit counts from when a renewal was due: one that the store has just failed is another accident.
    wait_until(lambda: cluster.sink.proven - now() > cluster.ttl * 0.6, 20, "a renewal")
    host = some(cluster, dice)
    before = host.pid()
    stopped = now()
    # Not helpless for the checker: systemd is there, and must be in time.
    proc.kill(host.machine.pid_outside(before), signal.SIGSTOP)
    wait_until(lambda: host.pid() not in (0, before), cluster.watchdog + 10, "the watchdog")
    if now() - stopped > cluster.watchdog + 3:
        raise AssertionError(f"the watchdog took {now() - stopped:.1f} s")


@accident()
def batond_pauses(cluster, dice):
    """batond is stopped for less than its watchdog takes"""
    host = some(cluster, dice)
    pid = host.batond()
    proc.kill(pid, signal.SIGSTOP)
    let_pass(dice.uniform(0.1, cluster.watchdog / 3))
    proc.kill(pid, signal.SIGCONT)


@accident(*REMOTE)
def batond_stands_still_and_nobody_watches(cluster, dice):
    """batond is stopped for longer than its lease, without a watchdog: what its engine writes late is refused"""
    host = cluster.holder()
    # As if systemd stood still with it.
    leader = host.machine.leader
    pid = host.batond()
    with helpless(cluster, host):
        for each in (leader, pid):
            proc.kill(each, signal.SIGSTOP)
        stopped = now()
        followed(cluster, host, stopped)
        let_pass(dice.uniform(0, 1))
        # systemd last: batond has its chance before the watchdog ends it.
        for each in (pid, leader):
            proc.kill(each, signal.SIGCONT)


@accident()
def engine_killed(cluster, dice):
    """the engine is killed: its host starts it again and keeps the lease"""
    host, token = cluster.holder(), cluster.sink.last[2]
    worker = host.worker()
    if worker:
        proc.kill(worker)
        died = now()
        last = cluster.wait_effect(died + 0.05, 10)
        if (last[1], last[2]) != (host.name, token):
            raise AssertionError(f"the lease went from {host.name}, {token} to {last}")


@accident()
def everything_killed(cluster, dice):
    """batond and its engine are killed on every host at once"""
    for host in cluster.hosts:
        if worker := host.worker():
            proc.kill(worker)
    kill(cluster, *cluster.hosts)


# Orderly ends


@accident()
def restarted(cluster, dice):
    """systemctl restart: another host is woken"""
    host, token = cluster.holder(), cluster.sink.last[2]
    cluster.sink.note("orderly", host=host.name)
    host.systemctl("restart")
    last = cluster.wait_effect(now(), 20)
    if last[2] <= token:
        raise AssertionError(f"the lease was not given back: {last}")


@accident()
def reloaded(cluster, dice):
    """systemctl reload: the lease stays"""
    host, token = cluster.holder(), cluster.sink.last[2]
    host.engines["robots"]["environment"] = {"GENERATION": str(dice.randrange(1 << 30))}
    host.write()
    host.systemctl("reload")
    last = cluster.wait_effect(now(), 20)
    if last[2] != token:
        raise AssertionError(f"the lease did not stay: {token}, then {last}")


@accident()
def upgraded(cluster, dice):
    """batond becomes another image of itself: the lease stays, and so does the engine"""
    host, token = cluster.holder(), cluster.sink.last[2]
    worker = host.worker()
    host.baton("upgrade", host.instance)
    last = cluster.wait_effect(now(), 20)
    if last[2] != token or host.worker() != worker:
        raise AssertionError(f"the lease or the engine did not stay: {token}, then {last}")


@accident()
def stopped_and_started(cluster, dice):
    """systemctl stop, and start after the others have gone on"""
    host = some(cluster, dice)
    host.systemctl("stop")
    stopped = now()
    cluster.wait_effect(stopped, cluster.ttl + 10, f"another than {host.name}", lambda last: last[1] != host.name)
    host.systemctl("start")


# Hosts


@accident(*REMOTE)
def host_stands_still(cluster, dice):
    """a whole machine stands still for longer than its lease, and goes on"""
    host = cluster.holder()
    with helpless(cluster, host):
        host.freeze(True)
        followed(cluster, host, now() + 0.02)
        let_pass(dice.uniform(0, 1))
        host.freeze(False)


@accident(*REMOTE)
def host_pauses(cluster, dice):
    """a whole machine stands still for less than its lease lasts"""
    host = some(cluster, dice)
    with helpless(cluster, host):
        host.freeze(True)
        let_pass(dice.uniform(0.1, cluster.ttl / 3))
        host.freeze(False)


@accident(*REMOTE)
def host_dies(cluster, dice):
    """a machine dies, and a new one takes its place"""
    host = cluster.holder()
    cluster.remove(host)
    followed(cluster, host, now())
    cluster.add()


# Several at once


@accident(*REMOTE)
def storm(cluster, dice):
    """kills, pauses and cut links at random, on all hosts, for a while"""
    hosts = cluster.hosts
    with away(cluster), helpless(cluster, *hosts):
        until = now() + cluster.ttl
        stopped = []
        while now() < until:
            host = dice.choice(hosts)
            what = dice.randrange(4)
            pid = host.batond()
            if what == 0 and pid:
                proc.kill(pid)
            elif what == 1 and pid:
                proc.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
            elif what == 2:
                host.link.cut()
            else:
                host.link.mend()
            let_pass(dice.uniform(0, 0.5))
        for pid in stopped:
            proc.kill(pid, signal.SIGCONT)
        for host in hosts:
            host.link.mend()


@accident(*REMOTE)
def all_but_one(cluster, dice):
    """every host but one is cut off, refused, talked nonsense to, or stands still: that one works"""
    left = dice.choice(cluster.hosts)
    others = [host for host in cluster.hosts if host is not left]
    frozen = []
    for host in others:
        what = dice.randrange(4)
        if what == 0:
            host.link.cut()
        elif what == 1:
            host.link.refuse()
        elif what == 2:
            host.link.babble(dice.choice(NONSENSE))
        else:
            frozen.append(host)
    with helpless(cluster, *frozen):
        for host in frozen:
            host.freeze(True)
        began = now()
        cluster.wait_effect(began, cluster.ttl + 10, f"{left.name}, the only one left", lambda last: last[1] == left.name)
        let_pass(dice.uniform(0, 1))
        for host in others:
            host.freeze(False)
            host.link.mend()
