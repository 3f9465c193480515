"""Lab machines with a real systemd and a batond each, whose engine works under one lease, and their store."""

import contextlib
import os
import pathlib
import shutil
import tempfile

from kit import installed, machine, proc, varlink
from kit.ownership.link import Link, listen_in
from kit.ownership.sink import Sink, now
from kit.ownership.stores import STORES, own_mounts
from kit.waiting import wait_until

SINK = 7000
PLACE = f"{installed.PROGRAMS}/worker"
# Works off one message after the other: its effect, then that it is done. Nothing in its loop starts a process.
WORKER = f"""#!/bin/bash
trap "$2" TERM
exec 3<>/dev/tcp/127.0.0.1/{SINK} 4<> <(:)
message=0 expires=0
while :; do
  {{ read -r _; IFS== read -r _ expires; }} 2>/dev/null <"$BATON_LEASE_FILE"
  echo "effect $1 $BATON_LEASE_TOKEN ${{expires:-0}} $message" >&3
  read -r answer <&3 || exit 1
  if [ "$answer" = taken ]; then
    echo "done $BATON_LEASE_TOKEN $message" >&3
    read -r message <&3 || exit 1
  fi
  read -rt 0.015 -u 4
done
"""


class Host(installed.Installed):
    """A batond of its own: of a machine of its own, or, where leases lie in a file, one of several of a machine."""

    def __init__(self, box, name, cluster, stubborn):
        super().__init__(box)
        self.name = name
        self.instance = "demo" if cluster.store.is_remote else name
        self.unit = f"baton@{self.instance}.service"
        self.sockets = {}
        self.engines = {"robots": self.idle(
            command=[PLACE, name, "" if stubborn else "exit 0"], ready={"after": "10ms"}, lease="robots",
            restart={"delay": "20ms", "give-up-after": 1000})}  # fmt: skip
        self.more = {"leases": {"ttl": f"{cluster.ttl:g}s", "poll": "2s"}, **cluster.store.sections}
        self.drop_in(f"[Service]\nWatchdogSec={cluster.watchdog:g}\nTimeoutAbortSec=1\n")
        self.link = Link(box.leader, cluster.store.port, cluster.store.connect) if cluster.store.is_remote else None

    def write(self):
        self.machine.write(f"/etc/baton/{self.instance}.toml", self.text())

    @property
    def control(self):
        return self.machine.path(f"/run/baton/{self.instance}/control")

    def batond(self):
        """Its pid as this host numbers it, or None."""
        pid = self.pid()
        return self.machine.pid_outside(pid) if pid else None

    def worker(self):
        """The engine's pid as this host numbers it, or None."""
        for pid in self.machine.processes(self.unit):
            if PLACE in proc.command_line(pid):
                return pid
        return None

    def lease(self):
        """How it stands to the lease: `held`, `waiting`, `ending`; None while nobody answers."""
        try:
            status = varlink.call(self.control, "Status", 5)
        except (OSError, varlink.Closed, varlink.VarlinkError):
            return None
        leases = status.get("leases") or [{}]
        return leases[0].get("state")

    def freeze(self, on):
        """Stands still with all that is in it, or goes on."""
        for group in self.machine._cgroups():
            file = group / "cgroup.freeze"
            if file.exists():
                file.write_text("1" if on else "0")
                wait_until(
                    lambda: f"frozen {1 if on else 0}" in (group / "cgroup.events").read_text(), 10, "the machine to freeze")
                return True
        return False


class Cluster:
    """Use as `with Cluster("redis", 3) as cluster:`. Times in seconds."""

    def __init__(self, store, count, ttl=6.0, watchdog=3.0, slack=1.5, base=None, keep=None):
        self.kind, self.count, self.ttl, self.watchdog, self.slack = store, count, ttl, watchdog, slack
        self.base = base or os.environ.get("BATON_LAB_BASE", "bookworm")
        self.keep = keep
        self.hosts = []
        self.names = 0
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.stack.close()
            raise
        return self

    def _make(self):
        own_mounts()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-cluster-"))
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.sink = Sink(self.keep or self.folder / "log")
        self.store = STORES[self.kind]()
        self.stack.callback(self.store.close)
        self.layer = self.stack.enter_context(installed.layer())
        self.stack.callback(self._down)
        for _ in range(self.count):
            self.add()
        self.sink.note("begins")
        self.wait_settled()

    def __exit__(self, *_):
        self.stack.close()

    def _down(self):
        for host in self.hosts:
            self.remove(host)

    def add(self):
        """One more host, whose service serves."""
        name = f"h{self.names}"
        self.names += 1
        box = self.hosts[0].machine if self.hosts and not self.store.is_remote else self._boot()
        host = Host(box, name, self, stubborn=self.names % 2 == 0)
        self.hosts.append(host)
        host.start()
        return host

    def _boot(self):
        box = machine.Machine.up(self.base, layers=[self.layer])
        installed.Installed(box).prepare()
        box.write(PLACE, WORKER, mode=0o755)
        self.store.prepare(box)
        self.sink.serve(listen_in(box.leader, SINK))
        return box

    def remove(self, host):
        """It dies as if its power had failed."""
        self.hosts = [each for each in self.hosts if each is not host]
        host.freeze(False)
        host.machine.down(now=True)
        if host.link:
            host.link.close()

    # What holds

    def holder(self):
        """The host whose effect was taken last."""
        last = self.sink.last
        return next((host for host in self.hosts if last and host.name == last[1]), None)

    def wait_effect(self, after, within, what="work to go on", where=lambda last: True):
        """The next effect that is taken after that moment: (when, host's name, token)."""
        return wait_until(
            lambda: self.sink.last if self.sink.last and self.sink.last[0] > after and where(self.sink.last) else None, within,
            lambda: f"{what}; last was {self.sink.last}, now {now():.3f}", every=0.005)  # fmt: skip

    def settled(self):
        """One has it and works, all others wait for it."""
        states = [host.lease() for host in self.hosts]
        return states.count("held") == 1 and states.count("waiting") == len(states) - 1

    def wait_settled(self, within=40):
        wait_until(self.settled, within, lambda: f"one holder: {[host.lease() for host in self.hosts]}", every=0.03)
        self.wait_effect(now(), within)

    def tell(self):
        """How all of them stand, and what their journals say last."""
        parts = []
        for host in self.hosts:
            with contextlib.suppress(Exception):
                parts.append(f"--- {host.name}: {host.lease()}\n" + "\n".join(host.journal().splitlines()[-14:]))
        return "\n".join(parts)
