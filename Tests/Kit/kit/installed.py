"""baton installed in a lab machine, and a service of it under systemd."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from kit import fixtures, http, load, machine, proc, programs
from kit.settings import Settings
from kit.waiting import wait_until

PORT = 8000
PROGRAMS = "/usr/lib/baton-test"
HOME = "/srv/demo"


@contextlib.contextmanager
def layer():
    """A folder to lay over a base: baton as scripts/install puts it, and the fixtures."""
    made = os.environ.get("BATON_LAB_LAYER")
    if made:
        yield pathlib.Path(made)
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-layer-"))
    try:
        stage(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stage(folder):
    """Fills a folder with what scripts/install and the tests put on a machine."""
    folder.chmod(0o755)
    subprocess.run(
        [str(programs.ROOT / "scripts/install")], check=True, capture_output=True,
        env={**os.environ, "DESTDIR": str(folder), "PREFIX": "/usr", "BATON_BIN": str(programs.folder())},
    )  # fmt: skip
    target = folder / PROGRAMS.lstrip("/")
    target.mkdir(parents=True)
    for name in ("fixture-service", "fixture-load"):
        shutil.copy2(programs.path(name), target / name)


class Installed(Settings):
    """A machine with baton and the settings of a service `demo` whose `web` listens on port 8000 of 127.0.0.1."""

    unit = "baton@demo.service"

    def __init__(self, box):
        super().__init__(f"{PROGRAMS}/fixture-service", HOME, PORT, f"{HOME}/app", "demo")
        self.machine = box

    def prepare(self):
        """What an administrator does once: users, folders."""
        self.machine.write("/usr/lib/sysusers.d/demo.conf", f"u demo - - {HOME}\n")
        self.machine.run("systemd-sysusers")
        self.machine.run("systemd-tmpfiles", "--create", check=False)
        self.machine.run("journalctl", "--update-catalog")
        self.machine.run("install", "-d", "-o", "demo", f"{HOME}/app", HOME)
        self.machine.run("systemctl", "daemon-reload")

    def write(self):
        self.machine.write("/etc/baton/demo.toml", self.text())

    def drop_in(self, text, unit=None):
        """Changes the unit as `systemctl edit` would."""
        self.machine.write(f"/etc/systemd/system/{unit or self.unit}.d/test.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    # The unit

    def systemctl(self, verb, *arguments, check=True, within=90):
        return self.machine.run("systemctl", verb, *arguments, self.unit, check=check, within=within)

    def start(self):
        self.write()
        done = self.systemctl("start", check=False)
        if done.returncode != 0:
            raise AssertionError(f"systemctl start: {done.stderr}\n{self.journal()}")

    def property(self, name):
        return self.machine.property(self.unit, name)

    def pid(self):
        """The supervisor, as the machine numbers it."""
        return int(self.property("MainPID"))

    def kill(self, number=signal.SIGKILL):
        """Sends a signal to the supervisor."""
        proc.kill(self.machine.pid_outside(self.pid()), number)

    def left(self):
        """Command lines of the fixtures that still run in the machine."""
        lines = (" ".join(proc.command_line(pid)) for pid in self.machine.processes())
        return [line for line in lines if line.startswith(PROGRAMS)]

    def journal(self, *matches):
        self.machine.run("journalctl", "--sync")
        return self.machine.run("journalctl", "--no-pager", "-o", "short-monotonic", "-u", self.unit, *matches).stdout

    def entries(self, *matches):
        """Journal entries as dictionaries."""
        self.machine.run("journalctl", "--sync")
        text = self.machine.run("journalctl", "--no-pager", "-o", "json", "--all", *matches).stdout
        return [json.loads(line) for line in text.splitlines()]

    # Its talk

    def baton(self, *arguments, check=True, within=90):
        """`baton VERB -n …` in the machine, as root."""
        return self.machine.run("baton", *arguments, check=check, within=within)

    def status(self):
        return json.loads(self.baton("status", "demo", "--json").stdout)

    def pids(self, engine="web"):
        found = next(each for each in self.status()["engines"] if each["name"] == engine)["workers"]
        return [each["pid"] for each in found if each["state"] == "ready"]

    def ask(self, path="/"):
        """One request from inside the machine's network."""
        script = (
            f"exec 3<>/dev/tcp/127.0.0.1/{self.port} && printf 'GET {path} HTTP/1.1\\r\\nHost: t\\r\\n"
            "Connection: close\\r\\n\\r\\n' >&3 && cat <&3"
        )
        done = self.machine.run("bash", "-c", script, check=False, within=15)
        head, _, body = done.stdout.partition("\n\n")  # read as text: line ends are plain
        return http.Answer(int(head.split()[1]), body, True) if head else None

    def load(self, rate=300, *options):
        """Clients inside the machine's network, counted here."""
        return load.Load(self.port, rate, *options, prefix=("nsenter", "-t", str(self.machine.leader), "-n"))

    def counts(self, name="counts"):
        return fixtures.counts(self.machine.path(f"{HOME}/{name}"))

    def stamps(self, event=None):
        return fixtures.stamps(self.machine.path(f"{HOME}/stamps"), event)

    def wait_active(self, within=20):
        wait_until(lambda: self.property("ActiveState") == "active", within, lambda: f"active:\n{self.journal()}")


@contextlib.contextmanager
def installed(suite=None, **options):
    """A machine with baton installed, up for the `with` block."""
    with layer() as folder:
        with machine.Machine.up(suite or os.environ.get("BATON_LAB_BASE", "bookworm"), layers=[folder], **options) as box:
            made = Installed(box)
            made.prepare()
            yield made
