"""Several supervisors whose engine `robots` runs under one lease, and the sink that all of them write to."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile

from kit import proc
from kit.supervisor import Service, Supervisor
from kit.waiting import wait_until

# Writes to the sink every few milliseconds; the sink compares tokens and writes under one lock.
ENGINE = """
import fcntl, os, select, signal, socket, sys, time
sink, name, stubborn = sys.argv[1:4]
ended = []
signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn == "yes" else lambda *_: ended.append(1))
talk = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
talk.connect(os.environ["NOTIFY_SOCKET"])
talk.send(b"READY=1")
file = os.environ["BATON_LEASE_FILE"]
def told():
    try:
        with open(file) as lines:
            return dict(line.split("=") for line in lines.read().split())
    except FileNotFoundError:
        return {}
token = os.environ.get("BATON_LEASE_TOKEN")
while token is None and not ended:
    token = told().get("token")
    select.select([], [], [], 0.002)
while not ended:
    with open(sink, "a+") as log, open(sink + ".fence", "a+") as fence:
        fcntl.flock(fence, fcntl.LOCK_EX)
        fence.seek(0)
        seen = int(fence.read() or "0")
        if int(token) >= seen:
            fence.truncate(0)
            fence.write(token)
            fence.flush()
        verdict = "accepted" if int(token) >= seen else "refused"
        print(time.clock_gettime_ns(time.CLOCK_BOOTTIME), name, token, verdict, file=log, flush=True)
    select.select([], [], [], 0.003)
os._exit(0)
"""


@dataclasses.dataclass(frozen=True)
class Write:
    """One line of the sink: when, whose, with which token, and whether it was taken."""

    at: float
    owner: str
    token: int
    accepted: bool


class Hosts:
    """Use as `with Hosts(…) as hosts:`; `start` adds one. All share `more`, the settings of the store."""

    def __init__(self, more=None, ttl="3s", warm=False, stubborn=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-leases-"))
        self.folder.chmod(0o755)
        self.sink = self.folder / "sink"
        self.engine = self.folder / "engine.py"
        self.engine.write_text(ENGINE)
        self.more, self.ttl, self.warm, self.stubborn = more or {}, ttl, warm, stubborn
        self.hosts = {}
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if problem[0] is not None:
            for name, host in self.hosts.items():
                print(f"--- {name}\n{host.log()[-5000:]}")
        for host in self.hosts.values():
            with contextlib.suppress(ProcessLookupError):
                host.process.send_signal(18)
        self.stack.close()
        # Those that a database keeps waiting end by themselves: what they were asked last may still be done.
        wait_until(lambda: not any("--keep-leases" in proc.command_line(pid) for pid in proc.descendants(os.getpid())), 10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, change=None, **options):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        made = Service(folder) if not (folder / "app").exists() else self.hosts[name].of
        made.sockets, made.engines = {}, {}
        stubborn = "yes" if self.stubborn else "no"
        made.engines["robots"] = made.idle(
            command=["/usr/bin/python3", "-S", str(self.engine), str(self.sink), name, stubborn], lease="robots",
            standby="warm" if self.warm else "cold")
        made.more = {"leases": {"ttl": self.ttl, "poll": "2s"}, **self.more}
        if change:
            change(made)
        # Beside the others' state, where services of one host share their leases.
        host = Supervisor(made, arguments=["--state-directory", str(self.folder / f"state-{name}"), "--name", name], **options)
        self.hosts[name] = host
        host.start()
        self.stack.callback(host.end)
        host.wait_serving()
        return host

    @property
    def writes(self):
        if not self.sink.exists():
            return []
        found = []
        for line in self.sink.read_text().splitlines():
            at, owner, token, verdict = line.split()
            found.append(Write(int(at) / 1e9, owner, int(token), verdict == "accepted"))
        return found

    def wait_for_work(self, owner, within=20, above=0):
        """The first write of `owner` with a token above `above`."""

        def look():
            return next((each for each in self.writes if each.owner == owner and each.token > above), None)

        return wait_until(look, within, lambda: f"{owner} to work: {self.writes[-3:]}\n" + self.logs())

    def logs(self):
        return "\n".join(f"--- {name}\n{host.log()[-2000:]}" for name, host in self.hosts.items())

    def replay(self, case, stale_from=()):
        """The sink's whole log: one owner for each token, taken writes with rising tokens alone, and, but for owners in
        `stale_from`, nobody writes once another's token is there."""
        owners, highest = {}, 0
        for each in self.writes:
            case.assertEqual(owners.setdefault(each.token, each.owner), each.owner, f"two owners of token {each.token}")
            if each.accepted:
                case.assertGreaterEqual(each.token, highest, "a stale write was taken")
                highest = each.token
            else:
                case.assertIn(each.owner, stale_from, f"{each.owner} worked on without its lease")
        return self.writes

    def gap(self, old, new):
        """Seconds from the last write of `old`'s first tenure to the first of `new`."""
        writes = self.writes
        last = max(each.at for each in writes if each.owner == old and each.accepted and each.at < min(
            other.at for other in writes if other.owner == new))
        return min(each.at for each in writes if each.owner == new) - last
