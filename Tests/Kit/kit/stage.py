"""Where the demo is shown: under this host's systemd, under one in a lab machine, or in the foreground without any.

Each stage has: `settings` (a Settings to change), `where` (a sentence), start(), reload() → Outcome, load(rate),
once(path), stop(), stamps() and counts(name).
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from kit import fixtures, http, installed, load, machine, programs
from kit.host import Host, systemd_is_pid_1
from kit.settings import Settings
from kit.supervisor import Supervisor, service
from kit.varlink import VarlinkError


@dataclasses.dataclass
class Outcome:
    """What a reload came to."""

    done: bool
    reason: str
    seconds: float


class Stage:
    """Clients of the service, wherever it is."""

    prefix = ()

    def load(self, rate, *options):
        return load.Load(self.settings.port, rate, *options, prefix=self.prefix)

    def once(self, path):
        """One request; the status of fixture-load, 0 when it was answered."""
        url = f"http://127.0.0.1:{self.settings.port}{path}"
        command = [*self.prefix, programs.path("fixture-load"), "--url", url, "--rate", "1", "--requests", "1"]
        return subprocess.run(command, capture_output=True, timeout=30).returncode


class Foreground(Stage):
    """batond as a child of this program: no systemd, no root."""

    where = "in the foreground, without systemd"

    def __init__(self, settings):
        self.settings = settings
        self.supervisor = Supervisor(settings)

    def start(self):
        self.supervisor.start()
        self.supervisor.wait_serving()

    def reload(self):
        began = time.monotonic()
        try:
            verdict = self.supervisor.reload()
        except VarlinkError as error:
            verdict = error.parameters
        return Outcome(verdict.get("outcome") == "done", verdict.get("what", ""), time.monotonic() - began)

    def stop(self):
        return self.supervisor.stop()[0] == 0

    def stamps(self):
        return fixtures.stamps(self.settings.stamps)

    def counts(self, name):
        return fixtures.counts(self.settings.folder / name)


class UnderSystemd(Stage):
    """A unit of a systemd: `box` is a Machine or the Host."""

    def __init__(self, settings, box, unit, file, where, prefix, baton):
        self.settings, self.box, self.unit, self.file, self.where = settings, box, unit, file, where
        self.prefix, self.baton = prefix, baton

    def _systemctl(self, verb):
        return self.box.run("systemctl", verb, self.unit, check=False, within=90)

    def start(self):
        self.box.write(self.file, self.settings.text())
        done = self._systemctl("start")
        if done.returncode != 0:
            journal = self.box.run("journalctl", "--no-pager", "-n", "30", "-u", self.unit, check=False).stdout
            raise AssertionError(f"systemctl start: {done.stderr}\n{journal}")

    def reload(self):
        self.box.write(self.file, self.settings.text())
        began = time.monotonic()
        done = self._systemctl("reload")
        seconds = time.monotonic() - began
        last = json.loads(self.box.run(self.baton, "status", "demo", "--json").stdout).get("lastHandover") or {}
        return Outcome(done.returncode == 0, last.get("reason", ""), seconds)

    def stop(self):
        return self._systemctl("stop").returncode == 0 and self.box.property(self.unit, "Result") == "success"

    def stamps(self):
        return fixtures.stamps(self.box.path(f"{self.settings.home}/stamps"))

    def counts(self, name):
        return fixtures.counts(self.box.path(f"{self.settings.home}/{name}"))


@contextlib.contextmanager
def foreground():
    with service() as made:
        shown = Foreground(made)
        try:
            yield shown
        finally:
            shown.supervisor.end()


@contextlib.contextmanager
def in_machine(suite="bookworm"):
    with installed.installed(suite) as it:
        box = it.machine
        yield UnderSystemd(
            it, box, it.unit, "/etc/baton/demo.toml", f"under systemd {box.systemd_version()} in a lab machine",
            ("nsenter", "-t", str(box.leader), "-n"), "baton")  # fmt: skip


@contextlib.contextmanager
def on_host():
    """A unit of its own in /run/systemd/system, from units/baton@.service; nothing is installed and nothing stays."""
    box, unit = Host(), pathlib.Path("/run/systemd/system/baton-demo@.service")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-demo-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        for name in ("batond", "baton", "fixture-service"):
            shutil.copy2(programs.path(name), folder / name)
        home = folder / "home"
        for each in (home, home / "app"):
            each.mkdir()
            shutil.chown(each, "nobody")
        template = (programs.ROOT / "units/baton@.service").read_text()
        unit.write_text(template.replace("/usr/bin/", f"{folder}/").replace("/etc/baton/", f"{folder}/"))
        box.run("systemctl", "daemon-reload")
        settings = Settings(folder / "fixture-service", home, http.free_port(), home / "app", "nobody")
        yield UnderSystemd(
            settings, box, "baton-demo@demo.service", folder / "demo.toml",
            f"under this host's systemd {box.systemd_version()}", (), folder / "baton")  # fmt: skip
    finally:
        box.run("systemctl", "stop", "baton-demo@demo.service", check=False, within=90)
        unit.unlink(missing_ok=True)
        box.run("systemctl", "daemon-reload", check=False)
        shutil.rmtree(folder, ignore_errors=True)


def choose(without_systemd):
    """The stage for this host, or an explanation why there is none but the foreground."""
    if without_systemd:
        return foreground()
    if os.geteuid() != 0:
        raise machine.MachineError("a unit of systemd needs root; as an ordinary user: scripts/demo --foreground")
    if systemd_is_pid_1():
        return on_host()
    reason = machine.missing()
    if reason:
        raise machine.MachineError(f"{reason}; without systemd: scripts/demo --foreground")
    return in_machine()
