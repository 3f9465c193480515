"""What holds after every accident: asked of batond, of systemd, of the kernel and of the clients, and compared."""

from kit import installed, proc
from kit.waiting import Late, wait_until

# Of memory of its own beyond what it had at first: bounded queues fill once, and stay.
MORE_MEMORY = 1 << 20
# One that came back after a crash has asked systemd when the unit fell: the library of the bus stays.
BUS_MEMORY = 2 << 20
# Log pipes, notify sockets and pidfds come and go with workers; a leak of one per accident is seen within three.
SPARE_DESCRIPTORS = 2
# A store of leases stays open once it was asked: a thread's pipe and loop, and two connections.
STORE_DESCRIPTORS = 7
# The one that serves, and idle ones that cannot be closed without moving it (decision 0002): no more of those than this.
MOST_IDLE = 4


class Baseline:
    """What batond and the unit held before the first accident."""

    def __init__(self, stage):
        supervisor = stage.supervisor()
        self.descriptors = proc.descriptors(supervisor)
        self.threads = proc.threads(supervisor)
        self.listeners = listeners(stage.status())
        self.stored = int(stage.it.property("NFileDescriptorStore")) - self.listeners
        self.memory = proc.own_bytes(supervisor)
        self.drops = stage.crowd.queue_drops()


def listeners(status):
    """How many listening sockets batond says it holds."""
    return sum(len(each["listeners"]) for each in status["sockets"])


def wrong(stage, base):
    """Sentences, one for each thing that is not as it should be now."""
    return list(_wrong(stage, base))


def _wrong(stage, base):
    it, status = stage.it, stage.status()
    unit = it.machine.run(
        "systemctl", "show", it.unit, "-p", "ActiveState,SubState,MainPID,NRestarts,NFileDescriptorStore,StatusText,Job",
    ).stdout  # fmt: skip
    said = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    yield from _systemd(stage, base, status, said)
    yield from _batond(stage, status)
    yield from _kernel(stage, base, status)
    yield from _clients(stage, base, status)


def _systemd(stage, base, status, said):
    if (said["ActiveState"], said["SubState"]) != ("active", "running"):
        yield f"systemd says {said['ActiveState']} ({said['SubState']})"
    if said["MainPID"] != str(status["supervisor"]["pid"]):
        yield f"systemd's main process is {said['MainPID']}, batond says {status['supervisor']['pid']}"
    if int(said["NRestarts"]) != stage.deaths:
        yield f"systemd started batond anew {said['NRestarts']} times; {stage.deaths} deaths were ours"
    if int(said["NFileDescriptorStore"]) != base.stored + listeners(status):
        yield f"systemd keeps {said['NFileDescriptorStore']} descriptors; {base.stored} and {listeners(status)} listeners are expected"
    if status["text"].split() != said["StatusText"].split():
        yield f"systemd says {said['StatusText']!r}, batond {status['text']!r}"
    if said.get("Job", "0") not in ("", "0"):
        yield f"systemd still has a job: {said['Job']}"


def _batond(stage, status):
    if status["state"] != "serving":
        yield f"the service is {status['state']}: {status['text']}"
    if status.get("handover") or status["draining"]:
        yield f"a handover goes on: {status.get('handover')}, draining {status['draining']}"
    if status.get("release") != stage.release:
        yield f"release {status.get('release')} serves, and not {stage.release}"
    engines = {each["name"]: each for each in status["engines"]}
    if set(engines) != stage.engines:
        yield f"the engines are {sorted(engines)}, and not {sorted(stage.engines)}"
    web = engines["web"]
    if (web["wanted"], web["ready"], len(web["workers"])) != (stage.wanted,) * 3:
        yield f"{stage.wanted} workers are set; {web['wanted']} wanted, {web['ready']} ready: {web['workers']}"


def _kernel(stage, base, status):
    supervisor = stage.supervisor()
    if supervisor is None:
        yield "batond is no process"
        return
    outside = stage.numbered()
    known = {w["pid"] for each in status["engines"] for w in each["workers"] if w.get("pid")}
    expected = {outside.get(pid) for pid in known} | {supervisor}
    there = stage.unit_processes()
    if there != expected:
        names = [f"{pid} {' '.join(proc.command_line(pid))}" for pid in sorted(there - expected)]
        yield f"not known to batond: {names}; not there: {sorted(map(str, expected - there))}"
    programs = {pid for pid in outside.values() if proc.command_line(pid)[:1] == [f"{installed.PROGRAMS}/fixture-service"]}
    if programs - there:
        yield f"orphans outside of the unit: {sorted(programs - there)}"
    zombies = [pid for pid in proc.children(supervisor) if proc.zombie(pid)]
    if zombies:
        yield f"zombies: {zombies}"
    held = proc.descriptors(supervisor)
    # A worker holds as many as another.
    per_worker = (len(base.descriptors) - 12) // 2
    most = len(base.descriptors) + SPARE_DESCRIPTORS + max(0, stage.wanted - 2) * max(per_worker, 1)
    most += listeners(status) - base.listeners + (STORE_DESCRIPTORS if stage.redis else 0)
    if len(held) > most:
        yield f"{len(held)} descriptors, before {len(base.descriptors)}: {_grown(base.descriptors, held)}"
    if proc.threads(supervisor) > base.threads + 1:
        yield f"{proc.threads(supervisor)} threads, before {base.threads}"
    if proc.own_bytes(supervisor) > base.memory + MORE_MEMORY + (BUS_MEMORY if stage.deaths else 0):
        yield f"{proc.own_bytes(supervisor) >> 10} KiB of its own, before {base.memory >> 10}"
    listening = stage.it.machine.run("ss", "-Hltn", "sport", "=", ":8000", check=False)
    found = len(listening.stdout.splitlines())
    if listening.returncode == 0 and not found == listeners(status) <= 1 + MOST_IDLE:
        yield f"{found} listeners in the kernel, {listeners(status)} says batond, and {1 + MOST_IDLE} are the most"


def _grown(before, now):
    """What kinds of descriptors there are more of."""

    def kinds(held):
        counts = {}
        for name in held.values():
            kind = name.split(":")[0] if ":" in name else name
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    old = kinds(before)
    return {kind: f"{old.get(kind, 0)} → {count}" for kind, count in kinds(now).items() if count > old.get(kind, 0)}


def _clients(stage, base, status):
    met = stage.it.counts("bad")["clients"]
    if met:
        yield f"{met} clients met a bad version"
    drops = stage.crowd.queue_drops() - base.drops
    if drops:
        yield f"the kernel dropped {drops} connections from queues"
    pids = set(stage.workers())
    for _ in range(3):
        answer = stage.ask()
        if answer is None or answer.status != 200 or answer.pid not in pids or answer.release != stage.release:
            yield f"answered by {answer}; release {stage.release} and one of {sorted(pids)} are expected"


def settled(stage, base, within=40):
    """Waits until nothing is wrong; what still is at the end of that time."""
    found = []

    def holds():
        nonlocal found
        try:
            found = wrong(stage, base)
        except (OSError, KeyError, TypeError) as error:  # batond is not there, or goes at this moment
            found = [f"not to be asked: {type(error).__name__} {error}"]
        return not found

    try:
        wait_until(holds, within, every=0.05)
    except Late:
        return found
    return []
