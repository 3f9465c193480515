"""The machine, the service and the crowd of a chaos run, and what accidents are made of."""

import contextlib
import pathlib
import signal
import subprocess

from kit import installed, load, proc, varlink
from kit.chaos.crowd import Crowd
from kit.waiting import wait_until

CLOCK = "/run/chaos-clock"
LIBRARY = f"{installed.PROGRAMS}/clock.so"
STATE = "/var/lib/baton/demo"
RELEASES = ("r1", "r2", "r3")
SOURCE = pathlib.Path(__file__).resolve().parents[3] / "Fixtures/clock/clock.c"

DROP_IN = f"""[Service]
WatchdogSec=4
TimeoutAbortSec=2
Environment=LD_PRELOAD={LIBRARY} CHAOS_CLOCK={CLOCK}
"""


class Stage:
    """`it`: an Installed whose service serves. Worker pids are the machine's, all others are this host's."""

    def __init__(self, it, crowd, dice=None):
        self.it, self.crowd, self.dice = it, crowd, dice
        self.deaths = 0  # of batond, by our hand
        self.under_way = 0  # the most requests that were when something was killed or stopped
        self.wanted, self.release = 2, RELEASES[0]
        self.engines = {"web"}
        # A store of leases, from the first card that wants one; what ends with the stage.
        self.redis, self.closing = None, contextlib.ExitStack()

    # What is there

    @property
    def control(self):
        return self.it.machine.path("/run/baton/demo/control")

    def status(self):
        return varlink.call(self.control, "Status", 15)

    def supervisor(self):
        """batond's pid on this host."""
        return self.it.machine.pid_outside(self.it.pid())

    def unit_processes(self):
        """Pids of everything in the unit's cgroups."""
        return set(self.it.machine.processes("baton@demo.service"))

    def numbered(self):
        """This host's pid of each process of the machine, by the machine's own."""
        pids = self.it.machine.processes()
        return {int(numbers[-1]): pid for pid in pids if (numbers := proc.status(pid).get("NSpid", "").split())}

    def workers(self, engine="web"):
        """Pids, in the machine, of the ready workers of the serving generation."""
        status = self.status()
        found = next(each for each in status["engines"] if each["name"] == engine)["workers"]
        return [w["pid"] for w in found if w["state"] == "ready" and w["generation"] == status.get("serving")]

    def ask(self):
        """One request on a new connection; its Answer, or None."""
        return self.it.ask()

    # What is done to it

    def signal_worker(self, number, pid=None):
        """Sends it to a worker of web; its pid."""
        pid = pid or self.dice.choice(sorted(self.workers()))
        self.send(self.numbered()[pid], number)
        return pid

    def send(self, pid, number):
        """Sends it to a process by this host's number."""
        self.under_way = max(self.under_way, self.crowd.tally()[2])
        proc.kill(pid, number)

    def kill_command(self, begun):
        """Kills what start() began, also where that is still to come on a busy machine, and waits for its end."""

        def ended():
            for pid in proc.descendants(begun.pid):
                proc.kill(pid)
            return begun.poll() is not None

        wait_until(ended, 60, "the end of what was killed")

    def kill_supervisor(self, number=signal.SIGKILL):
        """Kills batond, and waits until systemd has another one that serves."""
        before = self.it.pid()
        self.send(self.it.machine.pid_outside(before), number)
        self.wait_successor(before)

    def wait_successor(self, before, within=40):
        """A batond died by our hand; until its successor serves."""
        self.deaths += 1
        wait_until(
            lambda: self.it.pid() not in (0, before) and self.it.property("ActiveState") == "active", within,
            lambda: f"another batond:\n{self.it.journal()[-3000:]}")  # fmt: skip

    def settings(self, *options, **keys):
        """Writes settings whose web has these options and keys, so that the next reload takes them."""
        it = self.it
        it.engines["web"] = it.web(*options, workers=self.wanted, watchdog="4s", **keys)
        it.write()

    def reload(self, check=True):
        """`systemctl reload`; whether it was done."""
        status = self.it.systemctl("reload", check=False).returncode
        if check and status != 0:
            raise AssertionError(f"the reload was refused:\n{self.it.journal()[-3000:]}")
        return status == 0

    def refused(self):
        if self.reload(check=False):
            raise AssertionError("a bad version was not refused")

    def upgrade(self, check=True):
        return self.it.baton("upgrade", "demo", check=check).returncode == 0

    def start(self, *command):
        """A command in the machine that goes on beside the accident."""
        return self.it.machine.start(*command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_replaced(self, pid, within=30):
        """Until that worker is gone and all are ready again."""
        wait_until(
            lambda: pid not in self.workers() and len(self.workers()) == self.wanted, within,
            lambda: f"the replacement of {pid}: {self.status()['engines']}")  # fmt: skip

    def swap_release(self, name):
        """`current` names another release, as a deploy leaves it."""
        self.it.machine.run("ln", "-sfn", f"releases/{name}", f"{self.it.service['directory']}/current.new")
        self.it.machine.run(
            "mv", "-T", f"{self.it.service['directory']}/current.new", f"{self.it.service['directory']}/current")

    def set_clock(self, seconds):
        """The time of day that batond and its workers see is this much ahead of the host's."""
        # Written over and never cut short: it is mapped by those who read it.
        with open(self.it.machine.path(CLOCK), "r+b") as file:
            file.write(clock_text(seconds).encode())


@contextlib.contextmanager
def staged(rate, suite=None):
    """A Stage whose service serves and is under load."""
    with installed.installed(suite) as it:
        box = it.machine
        compile_clock(box)
        box.write(CLOCK, clock_text(0))
        app = it.service["directory"]
        for name in RELEASES:
            box.run("install", "-d", "-o", "demo", f"{app}/releases/{name}")
        box.run("ln", "-s", f"releases/{RELEASES[0]}", f"{app}/current")
        # Small, so that they are full soon and nothing of the host is.
        for place, size in ((STATE, "6M"), ("/run/log/journal", "40M")):
            box.run("mkdir", "-p", place)
            box.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "chaos", place)
        box.run("systemctl", "restart", "systemd-journald")
        it.drop_in(DROP_IN)
        it.handover = {"max-drain-time": "20s"}

        def client(url, rate, *options):
            # What one kind of client lost is a reset to the kernel, which counts for all of them.
            return load.Load(url, rate, *options, prefix=("nsenter", "-t", str(box.leader), "-n"), resets=True)

        crowd = Crowd(client, rate)
        stage = Stage(it, crowd)
        stage.settings()
        it.start()
        with crowd, stage.closing:
            yield stage


def clock_text(seconds):
    return f"{seconds:+019d}\n"


def compile_clock(box):
    box.write("/var/tmp/clock.c", SOURCE.read_text())
    box.run("gcc", "-shared", "-fPIC", "-O2", "-o", LIBRARY, "/var/tmp/clock.c")
