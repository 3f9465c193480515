"""The accidents. Each says what it may cost clients; what it may not is a fault of baton's."""

import dataclasses
import signal
import time

from kit import proc, varlink
from kit.chaos.crowd import CUT
from kit.chaos.stage import RELEASES, STATE
from kit.waiting import holds_for, let_pass, wait_until


@dataclasses.dataclass
class Card:
    """`kinds`: what may be seen of what was under way when it was played, and at most as often as that was much."""

    name: str
    play: object
    kinds: frozenset
    what: str


CARDS = {}
BAD = ("exits-at-start", "answers-500", "wrong-body", "crash-loop", "hangs-accept", "closes-listener")
ENDS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)


def card(kinds=frozenset()):
    def add(play):
        name = play.__name__.replace("_", "-")
        CARDS[name] = Card(name, play, kinds, play.__doc__)
        return play

    return add


# Workers


@card(CUT)
def worker_killed(stage):
    """a worker is killed"""
    stage.wait_replaced(stage.signal_worker(stage.dice.choice(ENDS)))


@card(CUT)
def workers_killed(stage):
    """all workers are killed at once"""
    pids = stage.workers()
    outside = stage.numbered()
    for pid in pids:
        stage.send(outside[pid], signal.SIGKILL)
    for pid in pids:
        stage.wait_replaced(pid)


@card(CUT)
def worker_hangs(stage):
    """a worker is stopped until its watchdog ends it"""
    stage.wait_replaced(stage.signal_worker(signal.SIGSTOP))


@card()
def worker_pauses(stage):
    """a worker is stopped for less than its watchdog takes"""
    pid = stage.signal_worker(signal.SIGSTOP)
    let_pass(stage.dice.uniform(0.1, 1.0))
    stage.signal_worker(signal.SIGCONT, pid)


@card()
def crash_loop(stage):
    """another engine crashes right after it was ready, again and again, and is given up"""
    it = stage.it
    restart = {"delay": "10ms", "max-delay": "50ms", "give-up-after": 5}
    # Beside web, and not proved: it is taken on, and crashes then.
    it.engines["jobs"] = it.idle(
        command=["/bin/sh", "-c", "exec sleep 0.2"], ready={"after": "50ms"}, restart=restart)  # fmt: skip
    stage.settings()
    stage.reload()
    wait_until(
        lambda: "failed" in [w["state"] for e in stage.status()["engines"] if e["name"] == "jobs" for w in e["workers"]],
        30, lambda: f"jobs to be given up: {stage.status()['engines']}")  # fmt: skip
    del it.engines["jobs"]
    stage.settings()
    stage.reload()


@card()
def memory_grows(stage):
    """workers grow until they are replaced"""
    stage.settings("--misbehave", "grows-memory=30", memory_limit="64M")
    stage.reload()
    before = set(stage.workers())
    wait_until(lambda: not before & set(stage.workers()), 30, "workers that have grown to be replaced")
    stage.settings()
    stage.reload()


@card()
def log_flood(stage):
    """an engine writes as much as it can"""
    it = stage.it
    it.engines["noisy"] = it.idle("--misbehave", "floods-log")
    stage.settings()
    stage.reload()
    let_pass(stage.dice.uniform(0.5, 2))
    del it.engines["noisy"]
    stage.settings()
    stage.reload()


# The supervisor


@card(CUT)
def supervisor_killed(stage):
    """batond is killed"""
    stage.kill_supervisor(stage.dice.choice(ENDS))


@card(CUT)
def supervisor_killed_in_a_reload(stage):
    """batond is killed at some moment of a reload; the old generation or the new one serves, and never a bad one"""
    stage.settings("--start-delay", stage.dice.choice((0, 100, 300)))
    reload = stage.start("systemctl", "reload", stage.it.unit)
    let_pass(stage.dice.uniform(0, 0.6))
    stage.kill_supervisor()
    reload.wait(60)
    stage.settings()
    stage.reload()


@card(CUT)
def supervisor_killed_in_an_upgrade(stage):
    """batond is killed at some moment of an upgrade"""
    upgrade = stage.start("baton", "upgrade", "demo")
    let_pass(stage.dice.uniform(0, 0.15))
    stage.kill_supervisor()
    upgrade.wait(60)


@card()
def supervisor_pauses(stage):
    """batond is stopped for less than its watchdog takes"""
    pid = stage.supervisor()
    stage.send(pid, signal.SIGSTOP)
    let_pass(stage.dice.uniform(0.1, 2))
    stage.send(pid, signal.SIGCONT)


@card(CUT)
def supervisor_hangs(stage):
    """batond is stopped until systemd's watchdog ends it"""
    before = stage.it.pid()
    stage.send(stage.supervisor(), signal.SIGSTOP)
    # WatchdogSec= and TimeoutAbortSec= of the stage, and a busy machine.
    stage.wait_successor(before, 15)


@card()
def upgrades(stage):
    """batond is upgraded, one to three times"""
    for _ in range(stage.dice.randint(1, 3)):
        stage.upgrade()


@card()
def bad_upgrade(stage):
    """a program that cannot take over lies where batond was started from"""
    box, bad = stage.it.machine, stage.dice.choice(("#!/bin/sh\nexit 9\n", "no program\n", "#!/bin/sh\nsleep 0.2; kill -9 $$\n"))
    box.run("cp", "/usr/bin/batond", "/usr/bin/batond.good")
    box.write("/usr/bin/batond.bad", bad, mode=0o755)
    box.run("mv", "/usr/bin/batond.bad", "/usr/bin/batond")
    try:
        if stage.upgrade(check=False):
            raise AssertionError(f"an upgrade to {bad!r} was done")
    finally:
        box.run("mv", "/usr/bin/batond.good", "/usr/bin/batond")


# Handovers


@card()
def reloads(stage):
    """one to three reloads, with other numbers of workers"""
    for _ in range(stage.dice.randint(1, 3)):
        stage.wanted = stage.dice.randint(1, 3)
        stage.settings()
        stage.reload()


@card()
def bad_version(stage):
    """a version that misbehaves is offered"""
    it = stage.it
    it.bad(stage.dice.choice(BAD))
    it.engines["web"]["prove"] = {"socket": "http", "path": "/health", "body": "ok", "timeout": "500ms"}
    it.write()
    stage.refused()
    stage.settings()


@card()
def bad_settings(stage):
    """the settings are no TOML, or name what is not there"""
    it = stage.it
    it.machine.write(
        "/etc/baton/demo.toml", stage.dice.choice(("this is [no TOML", "[service]\ncolour = 1\n", "", it.text() + "x" * 9000)))
    stage.refused()
    stage.settings()


@card()
def overlap(stage):
    """reloads, upgrades and changes of scale, all at once"""
    stage.settings()
    acts = [("baton", "reload", "demo"), ("baton", "upgrade", "demo"), ("systemctl", "reload", stage.it.unit),
            ("baton", "scale", "demo", f"web={stage.dice.randint(1, 4)}"), ("baton", "reload", "demo")]  # fmt: skip
    stage.dice.shuffle(acts)
    begun = [stage.start(*act) for act in acts]
    for each in begun:
        each.wait(90)
    stage.reload()


@card()
def release_swapped(stage):
    """`current` names another release, a worker pauses, an upgrade happens: the old one serves until the reload"""
    other = stage.dice.choice([name for name in RELEASES if name != stage.release])
    stage.swap_release(other)
    stage.upgrade()
    if stage.ask().release != stage.release:
        raise AssertionError("a release nobody asked for serves")
    stage.reload()
    stage.release = other


@card(CUT)
def release_swapped_and_killed(stage):
    """`current` names another release and batond is killed: the release that served comes back"""
    stage.swap_release(stage.dice.choice([name for name in RELEASES if name != stage.release]))
    stage.kill_supervisor()
    wait_until(lambda: stage.ask() is not None, 20, "an answer")
    holds_for(lambda: stage.ask().release == stage.release, 0.3, f"release {stage.release} serves")
    stage.swap_release(stage.release)


@card()
def restart(stage):
    """systemctl restart: what waits in the queue is served by the next batond"""
    stage.it.systemctl("restart")
    stage.deaths = 0


# The host


@card()
def journal_killed(stage):
    """the journal is killed"""
    stage.it.machine.run("systemctl", "kill", "-s", "KILL", "systemd-journald")
    stage.upgrade()


@card()
def journal_hangs(stage):
    """the journal is stopped while batond has much to say"""
    box = stage.it.machine
    journal = box.pid_outside(int(box.property("systemd-journald.service", "MainPID")))
    stage.send(journal, signal.SIGSTOP)
    try:
        for _ in range(3):
            verdict = varlink.call(stage.control, "Reload", 60, wait=True)["verdict"]
            if verdict["outcome"] != "done":
                raise AssertionError(f"a reload without the journal: {verdict}")
    finally:
        stage.send(journal, signal.SIGCONT)


@card()
def disk_full(stage):
    """nothing more fits on the disk of the ledger, nor on that of the journal, while generations change"""
    box = stage.it.machine
    for place in (STATE, "/run/log/journal"):
        box.run("sh", "-c", f"cat /dev/zero >{place}/full 2>/dev/null; test -s {place}/full", check=False)
    stage.reload()
    stage.upgrade()
    events = varlink.call(stage.control, "Events", limit=200)["events"]
    # The ledger's log has room of its own from before; while that lasts nothing is missed, and what was just done is there.
    kinds = [each["kind"] for each in events]
    if "ledger-unavailable" not in kinds and "upgraded" not in kinds:
        raise AssertionError(f"neither written nor missed: {kinds}")
    for place in (STATE, "/run/log/journal"):
        box.run("rm", f"{place}/full")


@card()
def clock_jumps(stage):
    """the time of day jumps to and fro by days"""
    for _ in range(3):
        ahead = stage.dice.randint(-10**8, 10**8)
        stage.set_clock(ahead)
        stage.reload()
        said = varlink.call(stage.control, "Events", limit=1)["events"][-1]["timeUsec"] / 1e6
        if abs(said - time.time() - ahead) > 100:
            raise AssertionError(f"the clock did not jump by {ahead}: batond says {said}")
    stage.set_clock(0)


@card()
def manager_reexecuted(stage):
    """systemd itself reads its units anew and is started anew"""
    stage.it.machine.run("systemctl", stage.dice.choice(("daemon-reload", "daemon-reexec")))


# Callers


@card()
def callers_killed(stage):
    """those who asked for something are killed before they hear of it"""
    for command in (("baton", "events", "demo", "--follow"), ("baton", "reload", "demo"), ("baton", "status", "demo")):
        caller = stage.start(*command)
        let_pass(stage.dice.uniform(0, 0.2))
        stage.kill_command(caller)


@card()
def callers_mean_no_good(stage):
    """callers that send anything, or never read what they asked for"""
    for _ in range(20):
        try:
            with varlink.Connection(stage.control) as connection:
                connection.socket.settimeout(1)
                if stage.dice.random() < 0.5:
                    connection.socket.sendall(stage.dice.randbytes(stage.dice.randint(1, 50_000)))
                else:
                    for _ in range(200):
                        connection.send("Status")
        except OSError:
            pass  # refused in the middle, as it should be


@card()
def callers_stopped(stage):
    """callers stand still: one that follows all events and reads none of them, one that waits for its reload"""
    callers = [stage.start("baton", "events", "demo", "--follow"), stage.start("baton", "reload", "demo")]
    let_pass(stage.dice.uniform(0, 0.3))
    held = [pid for each in callers for pid in proc.descendants(each.pid)]
    try:
        for pid in held:
            stage.send(pid, signal.SIGSTOP)
        for _ in range(2):
            stage.reload()
        stage.upgrade()
    finally:
        # nsenter stops itself with its child.
        for pid in [each.pid for each in callers] + held:
            stage.send(pid, signal.SIGCONT)
    callers[1].wait(60)
    stage.kill_command(callers[0])
