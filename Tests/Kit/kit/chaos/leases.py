"""Accidents of an engine under a lease: this service and another one want it, and a real Redis has the word."""

import contextlib
import signal

from kit import installed, proc, settings, varlink
from kit.chaos.cards import ENDS, card
from kit.chaos.crowd import CUT
from kit.redis import Redis
from kit.waiting import let_pass, wait_until

TTL = 6
# Each wait is for one that must expire first, and a busy machine.
PATIENCE = 4 * TTL
SINK = f"{installed.HOME}/sink"
UNITS = {"demo": "baton@demo.service", "spare": "baton@spare.service"}
# Says every few hundredths of a second that it works, and under which token: in one write, and without a fork.
ENGINE = f"""
trap 'exit 0' TERM
exec 8<> <(:)
while :; do
  read -r up _ </proc/uptime
  echo "$up $0 $BATON_LEASE_TOKEN" >>{SINK}
  read -r -t 0.03 -u 8
done
"""


class Hosts:
    """The services that want the lease `robots`."""

    def __init__(self, stage, redis):
        self.stage, self.redis, self.box = stage, redis, stage.it.machine

    def lease(self, name):
        """What a service says of it; empty while it cannot be asked."""
        try:
            return varlink.call(self.box.path(f"/run/baton/{name}/control"), "Status", 15)["leases"][0]
        except (OSError, KeyError, IndexError, EOFError, varlink.VarlinkError):
            return {}

    def holders(self):
        return [name for name in UNITS if self.lease(name).get("state") == "held" and self.lease(name)["works"]]

    def other(self, name):
        return "spare" if name == "demo" else "demo"

    def writes(self):
        """(owner, token) of each, in their order; a last line that is being written is not there yet."""
        place = self.box.path(SINK)
        text = place.read_text() if place.exists() else ""
        return [(owner, int(token)) for _, owner, token in (line.split() for line in text[: text.rfind("\n") + 1].splitlines())]

    def wait_work(self, above=0, owner=None):
        """Until somebody works anew, and says of itself that it holds the lease; its name."""
        seen = len(self.writes())

        def works():
            fresh = [each for each in self.writes()[seen:] if each[1] > above and owner in (None, each[0])]
            return fresh and self.holders() == [fresh[-1][0]] and fresh[-1][0]

        return wait_until(works, PATIENCE, lambda: f"work under the lease: {self.writes()[-3:]}, {self.leases()}")

    def token(self):
        return self.writes()[-1][1]

    def leases(self):
        return {name: self.lease(name) for name in UNITS}

    def kill(self, name, number=signal.SIGKILL):
        """Kills batond, and waits until systemd has another one that serves."""
        if name == "demo":
            return self.stage.kill_supervisor(number)
        before = int(self.box.property(UNITS[name], "MainPID"))
        proc.kill(self.box.pid_outside(before), number)
        wait_until(
            lambda: int(self.box.property(UNITS[name], "MainPID")) not in (0, before)
            and self.box.property(UNITS[name], "ActiveState") == "active", 40, f"another batond of {name}")  # fmt: skip

    def judge(self, may_be_late=False):
        """One owner for each token, and nobody works once another token was seen. `may_be_late`: but for the one before."""
        owners, highest = {}, 0
        for owner, token in self.writes():
            if owners.setdefault(token, owner) != owner:
                raise AssertionError(f"{owner} and {owners[token]} worked under one token: {token}")
            if token < highest and not may_be_late:
                raise AssertionError(f"{owner} worked under token {token} when {owners[highest]} had {highest}")
            highest = max(highest, token)


@contextlib.contextmanager
def leased(stage, may_be_late=False):
    """Hosts of whom one works; afterwards all is judged, and as before."""
    it, box = stage.it, stage.it.machine
    if stage.redis is None:
        stage.redis = Redis(box)
        stage.closing.callback(stage.redis.end)
    box.write(SINK, "", mode=0o666)
    hosts = Hosts(stage, stage.redis)
    more = {"leases": {"ttl": f"{TTL}s", "poll": "2s"}, "redis": {"url": stage.redis.url}}

    def engine(name):
        return it.idle(
            command=["/bin/bash", "-c", ENGINE, name], ready={"after": "20ms"}, lease="robots",
            restart={"delay": "50ms", "max-delay": "200ms"})  # fmt: skip

    def start_spare():
        if box.run("systemctl", "start", UNITS["spare"], check=False).returncode != 0:
            journal = box.run("journalctl", "--no-pager", "-u", UNITS["spare"]).stdout
            raise AssertionError(f"the other service does not start:\n{journal[-3000:]}")

    def start_here():
        it.engines["robots"] = engine("demo")
        it.more |= more
        stage.settings()
        stage.reload()

    spare = settings.Settings(it.program, it.home, 0, it.service["directory"], it.user)
    spare.sockets, spare.engines, spare.more = {}, {"robots": engine("spare")}, more
    box.write("/etc/baton/spare.toml", spare.text())
    for start in stage.dice.sample((start_spare, start_here), 2):
        start()
    hosts.wait_work()
    try:
        yield hosts
    finally:
        it.engines.pop("robots", None)
        for key in more:
            it.more.pop(key, None)
        stage.settings()
    hosts.judge(may_be_late)
    box.run("systemctl", "stop", UNITS["spare"])
    if (result := box.property(UNITS["spare"], "Result")) != "success":
        raise AssertionError(f"the other service ended with {result}")
    if left := box.processes(UNITS["spare"]):
        raise AssertionError(f"the other service left {left}")
    stage.reload()


@card(CUT)
def lease_holder_killed(stage):
    """batond of the service that has the lease is killed: it has it again, or the other one"""
    with leased(stage) as hosts:
        hosts.kill(hosts.wait_work(), stage.dice.choice(ENDS))
        hosts.wait_work()


@card()
def lease_engine_killed(stage):
    """the engine that works under the lease is killed: it works again under the same lease"""
    with leased(stage) as hosts:
        name, token = hosts.wait_work(), hosts.token()
        marker = b"BATON_LEASE_TOKEN=%d" % token
        for pid in hosts.box.processes(UNITS[name]):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environment:
                if marker in environment.read().split(b"\0"):
                    stage.send(pid, stage.dice.choice(ENDS))
        hosts.wait_work(owner=name)


@card()
def lease_store_pauses(stage):
    """the store stands still, for less or for longer than a lease lasts"""
    with leased(stage) as hosts:
        hosts.redis.send(signal.SIGSTOP)
        let_pass(stage.dice.choice((stage.dice.uniform(0.2, 1.5), TTL + stage.dice.uniform(0, 2))))
        hosts.redis.send(signal.SIGCONT)
        hosts.wait_work()


@card()
def lease_store_lost(stage):
    """the store is killed and comes back with nothing: tokens rise, and somebody works"""
    with leased(stage, may_be_late=True) as hosts:
        token = hosts.token()
        hosts.redis.end()
        let_pass(stage.dice.uniform(0, 1.5 * TTL))
        hosts.redis.start()
        hosts.wait_work(above=token)


@card()
def lease_taken_over(stage):
    """the service that has the lease is started anew: the other one takes over"""
    with leased(stage) as hosts:
        name, token = hosts.wait_work(), hosts.token()
        if name == "demo":
            stage.it.systemctl("restart")
            stage.deaths = 0
        else:
            hosts.box.run("systemctl", "restart", UNITS[name])
        hosts.wait_work(above=token, owner=hosts.other(name))


@card()
def lease_kept_over_upgrades(stage):
    """batond is upgraded and reloaded, all at once: the lease stays where it is"""
    with leased(stage) as hosts:
        name, token = hosts.wait_work(), hosts.token()
        acts = [("baton", "upgrade", name), ("baton", "reload", name), ("baton", "upgrade", name)]
        begun = [stage.start(*act) for act in stage.dice.sample(acts, len(acts))]
        for each in begun:
            each.wait(90)
        if hosts.wait_work() != name or hosts.token() != token:
            raise AssertionError(f"{name} had it with token {token}: {hosts.writes()[-3:]}")
