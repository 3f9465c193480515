"""Lab machines: a real systemd as pid 1, by systemd-nspawn on an overlay, as root, whatever the host's own pid 1 is.

A machine is up in about a second and gone without a trace: its files are a tmpfs in a mount namespace of its own, its
processes end with an outer pid namespace, and it dies with the process that made it unless it is asked to stay. What a
SIGKILL can leave is one folder and empty cgroups, which `collect` (or the next machine) removes.
"""

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import uuid

from kit import base, proc
from kit.waiting import Late, wait_until

STATE = pathlib.Path("/run/baton-lab")
# Of the project's own, with the machine's unique name behind it: two users of one host do not meet.
CGROUP = "baton-lab-"
INNER = pathlib.Path(__file__).resolve().parents[1] / "machine-inside.sh"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of what runs in one: nothing of the host's.
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
POWER_OFF = signal.SIGRTMIN + 4


class MachineError(Exception):
    """A machine did not do what was asked."""


def missing():
    """Why no machine can be started here, or None."""
    if os.geteuid() != 0:
        return "lab machines need root"
    for program in ("systemd-nspawn", "unshare", "nsenter"):
        if shutil.which(program) is None:
            return f"lab machines need {program} (scripts/setup installs it)"
    if not os.path.isdir("/sys/fs/cgroup"):
        return "lab machines need cgroups"
    return None


def _cgroup_roots():
    """Every mounted hierarchy: the v1 controllers and `unified` where v1 is in use, else the one of cgroup v2."""
    roots = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] in ("cgroup", "cgroup2"):
            roots.append(pathlib.Path(left.split()[4]))
    return roots


class Machine:
    """A running machine. As a context manager it goes down at the end."""

    def __init__(self, name):
        self.name = name
        self.folder = STATE / name
        self.leader = int((self.folder / "leader").read_text()) if (self.folder / "leader").exists() else None

    # Up and down

    @classmethod
    def up(cls, suite="bookworm", name=None, layers=(), binds=(), environment=None, stays=False, within=30):
        """Boots one and waits until systemd has settled.

        `layers`: folders laid over the base, first on top. `binds`: "SOURCE:TARGET". `stays`: outlives this process.
        """
        reason = missing()
        if reason:
            raise MachineError(reason)
        self = cls(name or f"m{os.getpid()}-{uuid.uuid4().hex[:6]}")
        if self.is_alive():
            raise MachineError(f"{self.name} is up already")
        self._clear()
        root = base.build(suite)
        for folder in ("fs", "root"):
            (self.folder / folder).mkdir(parents=True)
        lower = ":".join(str(pathlib.Path(layer).resolve()) for layer in (*layers, root))
        with open(self.folder / "console.log", "wb") as console:
            process = subprocess.Popen(
                ["/bin/sh", str(INNER), self.name, str(self.folder), lower, *(f"--bind={bind}" for bind in binds)],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={"PATH": PATH, "LANG": "C.UTF-8", **(environment or {})},
                preexec_fn=lambda: self._enter_cgroups(dies_with_parent=not stays),
            )  # fmt: skip
        self.process = process
        (self.folder / "keeper").write_text(f"{process.pid} {proc.start_time(process.pid)}")
        try:
            self.leader = wait_until(self._find_leader, within, "the machine's pid 1", every=0.005)
            (self.folder / "leader").write_text(str(self.leader))
            state = wait_until(self._settled, within, "systemd to settle")
        except BaseException:
            text = (self.folder / "console.log").read_text(errors="replace")
            self.down(now=True)
            raise MachineError(f"{self.name} did not come up; its console:\n{text[-3000:]}") from None
        if state != "running":
            failed = self.run("systemctl", "--failed", "--no-legend", "--plain").stdout
            journal = self.run("journalctl", "-b", "-p", "warning", "--no-pager", "-n", "40").stdout
            self.down(now=True)
            raise MachineError(f"{self.name} is {state}:\n{failed}{journal}")
        return self

    def _enter_cgroups(self, dies_with_parent):
        """In the child: a cgroup of its own in every hierarchy, since nspawn makes its own beside the caller's."""
        if dies_with_parent:
            proc.die_with_parent()
        for group in self._cgroups():
            group.mkdir(exist_ok=True)
            for inherited in ("cpuset.cpus", "cpuset.mems"):
                if (group / inherited).exists() and (group.parent / inherited).exists():
                    (group / inherited).write_text((group.parent / inherited).read_text())
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def _cgroups(self):
        return [root / (CGROUP + self.name) for root in _cgroup_roots()]

    def _find_leader(self):
        """The machine's pid 1: a process of its cgroup that is number 1 of the innermost of three pid namespaces."""
        if self.process.poll() is not None:
            raise MachineError("systemd-nspawn ended")
        for pid in self.processes():
            numbers = proc.status(pid).get("NSpid", "").split()
            if numbers[1:] and numbers[-1] == "1":
                return pid
        return None

    def _settled(self):
        said = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        return said if said in ("running", "degraded", "maintenance") else None

    def is_alive(self):
        try:
            pid, started = map(int, (self.folder / "keeper").read_text().split())
        except (FileNotFoundError, ValueError):
            return False
        return proc.alive(pid) and proc.start_time(pid) == started

    def down(self, now=False):
        """Powers off, units stopped in order, and removes every trace. `now`: everything in it is killed instead."""
        if self.is_alive():
            keeper = int((self.folder / "keeper").read_text().split()[0])
            if now or not self.leader:
                proc.kill(keeper)
            else:
                proc.kill(self.leader, POWER_OFF)
            try:
                wait_until(self._is_off, 100, "power-off")
            except Late:
                proc.kill(keeper)
        self._clear()
        if hasattr(self, "process"):
            self.process.wait()

    def _is_off(self):
        """Whether it has ended. systemd stops every process before it kills them, and an nsenter whose child is stopped
        stops itself: it would never reap that child, and the machine's pid namespace could not end."""
        if not self.is_alive():
            return True
        client = ["nsenter", "-t", str(self.leader)]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            fields = proc.stat(pid)
            if fields and fields[0] == "T" and proc.command_line(pid)[:3] == client:
                proc.kill(int(pid), signal.SIGCONT)
        return False

    def _clear(self):
        for group in self._cgroups():
            if (group / "cgroup.kill").exists():
                (group / "cgroup.kill").write_text("1")
        wait_until(self._cgroups_gone, 10, f"the cgroups of {self.name} to empty")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _cgroups_gone(self):
        for group in self._cgroups():
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    pass
                except OSError:
                    return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down(now=True)

    # At work

    def _inside(self, command):
        if self.leader is None:
            raise MachineError(f"{self.name} is not up")
        return ["nsenter", "-t", str(self.leader), "-a", *map(str, command)]

    def run(self, *command, check=True, within=60, input=None):
        """Runs a command in the machine and returns its CompletedProcess (texts). A bad status raises unless check=False."""
        done = subprocess.run(
            self._inside(["timeout", str(within), *command]), input=input, capture_output=True, text=True, errors="replace",
            env=ENVIRONMENT,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise MachineError(
                f"in {self.name}: {shlex.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def start(self, *command, **options):
        """Starts a command in the machine and returns its Popen. It ends with this process at the latest."""
        return subprocess.Popen(self._inside(command), preexec_fn=proc.die_with_parent, env=ENVIRONMENT, **options)

    def exec(self, *command):
        """Becomes the command (for `lab run`): stdin, stdout, stderr and the status are the command's."""
        arguments = self._inside(command)
        os.execvpe(arguments[0], arguments, ENVIRONMENT)

    def path(self, inside):
        """Where a path of the machine is seen from outside: its /tmp and /run as well."""
        return pathlib.Path(f"/proc/{self.leader}/root/{str(inside).lstrip('/')}")

    def write(self, inside, text, mode=0o644):
        place = self.path(inside)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def read(self, inside):
        return self.path(inside).read_text(errors="replace")

    def property(self, unit, name):
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()

    def systemd_version(self):
        return int(re.match(r"systemd (\d+)", self.run("systemctl", "--version").stdout)[1])

    def processes(self, unit=None):
        """Pids of everything in it, or in a unit of it, as the host numbers them."""
        found = set()
        for group in self._cgroups():
            # Cgroups go while they are walked through: os.walk() passes over what is gone.
            for folder, _, _ in os.walk(group / "payload"):
                if unit is None or unit in pathlib.Path(folder).parts:
                    with contextlib.suppress(OSError):
                        found.update(map(int, pathlib.Path(folder, "cgroup.procs").read_text().split()))
        return sorted(found)

    def pid_outside(self, pid):
        """A pid of the machine as the host numbers it, or None."""
        for each in self.processes():
            if proc.status(each).get("NSpid", "").split()[-1:] == [str(pid)]:
                return each
        return None


def machines():
    """Every machine that left a state folder, alive or not."""
    return [Machine(folder.name) for folder in sorted(STATE.glob("*"))] if STATE.exists() else []


def collect():
    """Removes what dead machines left, and bases no current list makes; returns their names."""
    gone = []
    for machine in machines():
        if not machine.is_alive():
            machine._clear()
            gone.append(machine.name)
    current = {base.base_folder(suite).name for suite in base.SUITES}
    for folder in base.cache_folder().glob("*-*"):
        if not folder.name.startswith("building-") and folder.name not in current:
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(str(folder))
    return gone
