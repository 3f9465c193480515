"""Accidents in deploys in a lab machine, to a unit that baton does not supervise or to one that it does: see kit.faults. Each
starts from what the last one left. The programs are builds for debugging; the machine sees the libraries they need.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from kit import machine, programs
from kit.deploying import DIRECTORY, USER, Deployed
from kit.faults import DONE, FAILED, STUCK, Point, damage, plain, points
from kit.installed import HOME, PROGRAMS, layer
from kit.waiting import wait_until

UNIT = "shop.service"
UNIT_TEXT = f"""
[Unit]
Description=A service like any other
After=baton-recover.service
Wants=baton-recover.service
[Service]
Type=simple
User=demo
WorkingDirectory={DIRECTORY}/current
ExecStart={DIRECTORY}/current/main
KillMode=mixed
TimeoutStopSec=30
Restart=on-failure
"""
PLACE = "/srv/deploys"


class PlainGround:
    """Made once: what is on the machine's disk outlives the machine, which may go down at any instant."""

    unit = UNIT
    # What its program is given besides its version.
    options = "--listen 127.0.0.1:8000"

    def settings(self, it):
        it.engines, it.sockets = {}, {}
        it.deploy |= {"unit": UNIT, "activate": "restart"}

    def files(self):
        return {f"etc/systemd/system/{UNIT}": UNIT_TEXT}

    def __init__(self, place, installed):
        self.place, self.round = place, 0
        self.layers = [place / "enabled", installed]
        for folder in (place, *(place / name for name in ("disk", "disk/demo", "disk/baton", "work"))):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        (place / "work").chmod(0o777)
        libraries = sorted({str(pathlib.Path(path).parent) for path in re.findall(
            r"=> (/\S*/libswift\S*)", subprocess.run(["ldd", programs.path("baton")], capture_output=True, text=True).stdout)})
        self.binds = [f"{place}/disk/demo:/srv/demo", f"{place}/disk/baton:/var/lib/baton", f"{place}/work:{PLACE}"]
        self.binds += [f"{path}:{path}" for path in libraries]
        (place / "enabled").mkdir()
        self.it = None

    # The machine

    def up(self):
        suite = os.environ.get("BATON_LAB_BASE", "bookworm")
        box = machine.Machine.up(suite, layers=self.layers, binds=self.binds)
        self.it = it = Deployed(box, None)
        it.unit = self.unit
        it.deploy = {"artifacts": ["main"], "keep": 3, "user": USER}
        self.settings(it)
        it.health["check"][0]["timeout"] = "2s"
        it.health |= {"passes": 1, "interval": "20ms"}

    def prepare(self):
        """What an administrator does once; kept as a layer for the machines to come."""
        self.up()
        for name, text in self.files().items():
            self.it.machine.write(f"/{name}", text)
        self.it.prepare()
        self.keep({"usr/lib/sysusers.d/demo.conf": f"u demo - - {HOME}\n", "etc/baton/demo.toml": self.it.text(),
                   **self.files()})  # fmt: skip

    def keep(self, files):
        for name, text in files.items():
            path = self.place / "enabled" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        wants = self.place / "enabled/etc/systemd/system/baton-lab.target.wants"
        wants.mkdir(parents=True)
        (wants / self.unit).symlink_to(f"/etc/systemd/system/{UNIT}" if self.files() else "/usr/lib/systemd/system/baton@.service")

    def down(self):
        """As when the power goes."""
        if self.it:
            self.it.machine.down(now=True)
            self.it = None

    def reboot(self):
        self.down()
        self.up()
        self.it.machine.run("systemctl", "start", "polkit")

    # Deploys

    def next_version(self):
        self.round += 1
        built = self.place / "work/built"
        shutil.rmtree(built, ignore_errors=True)
        built.mkdir()
        (built / "main").write_text(
            f"#!/bin/sh\nexec {PROGRAMS}/fixture-service {self.options} --version-text v{self.round}\n")
        (built / "main").chmod(0o755)
        return f"v{self.round}"

    def arguments(self, *more):
        return ("deploy", "demo", "--foreground", "--quick", "--from", f"{PLACE}/built", *more)

    def environment(self, fault, where):
        (self.place / "work/points").unlink(missing_ok=True)
        return [f"BATON_FAULT_LOG={PLACE}/points", f"BATON_FAULT_IN={where}", *([f"BATON_FAULT={fault}"] if fault else [])]

    def run(self, *arguments, fault=None, where="run-operation"):
        done = self.it.run(*arguments, check=False, environment=self.environment(fault, where))
        return done.returncode, done.stdout + done.stderr, points(self.place / "work/points")

    def first(self):
        self.next_version()
        status, said, _ = self.run(*self.arguments("--no-rollback"))
        if status != DONE:
            raise AssertionError(f"the first deploy ended with {status}:\n{said}")

    def points(self):
        self.next_version()
        status, said, reached = self.run(*self.arguments())
        if status != DONE:
            raise AssertionError(f"the deploy ended with {status}:\n{said}")
        names = ((DIRECTORY, "DIR"), (PLACE, "HOME"))
        return [Point(number, plain(words, names)) for (number, side), words in reached if side == "before"]

    # Accidents

    def attempt(self, number, side, fault):
        """A deploy with an accident, recovery, and what must hold then. `power`: the machine goes down and up again."""
        old, before, new = self.it.current, set(self.it.operations()), self.next_version()
        if fault == "power":
            ended = self.lose_power(number, side)
        else:
            status, said, reached = self.run(*self.arguments(), fault=f"{number}:{side}:{fault}")
            ended = status if (number, side) in {found for found, _ in reached} else f"not reached: {said[-300:]}"
        recovered, said, _ = self.run("recover", "demo", where="recover")
        found = self.complaints(old, new, before, ended, fault)
        if recovered != DONE:
            found.append(f"recovery ended with {recovered}: {said[-300:]}")
        return [f"{number} {side} {fault}: {each}" for each in found]

    def lose_power(self, number, side):
        client = self.it.machine.start(
            "env", *self.environment(f"{number}:{side}:hang", "run-operation"), "baton", *self.arguments(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        wait_until(
            lambda: (number, side) in {found for found, _ in points(self.place / "work/points")}, 60, f"effect {number}")
        self.down()
        client.wait()
        self.up()
        self.it.machine.run("systemctl", "start", "polkit")
        if self.it.machine.property("baton-recover.service", "Result") != "success":
            return "baton-recover.service failed"
        ended = int(self.it.machine.property("baton-recover.service", "ExecMainExitTimestampMonotonic"))
        wait_until(lambda: self.it.property("ExecMainStartTimestampMonotonic") != "0", 20, f"{self.unit} to be started")
        if not 0 < ended <= int(self.it.property("ExecMainStartTimestampMonotonic")):
            return f"{self.unit} was started before recovery had ended"
        return None

    def complaints(self, old, new, before, ended, fault):
        found, current = [], self.it.current
        if isinstance(ended, str):
            found.append(ended)
        version = current and re.search(r"--version-text (v\d+)", self.it.machine.read(f"{DIRECTORY}/current/main"))[1]
        is_new = version == new
        if not is_new and current != old:
            found.append(f"{current} is neither the old release nor the new one")
        if fault not in ("kill", "power") and (ended == DONE) != is_new:
            found.append(f"exit code {ended}, and {version} is deployed")
        if fault == "kill" and ended not in (DONE, FAILED, STUCK, -signal.SIGKILL):
            found.append(f"exit code {ended}")
        wait_until(lambda: self.it.answered_by() == version, 15,
                   lambda: f"{version} to answer; {self.it.answered_by()} does\n{self.it.deploy_journal()}")  # fmt: skip
        found += damage(self.it.machine.path(f"{DIRECTORY}/releases"), current)
        left = [name for folder in (".", "releases", "backups", "deploys") for name in self.it.names(folder)
                if name.startswith(".tmp-")]  # fmt: skip
        if left:
            found.append(f"left over: {left}")
        history = json.loads(self.it.run("history", "demo", "--json").stdout)["operations"]
        states = [each["state"] for each in history if each["operation"] not in before]
        if (states == ["good"]) != is_new:
            found.append(f"history says {states}, and {version} is deployed")
        if "nothing was left over" not in self.run("recover", "demo", where="recover")[1]:
            found.append("recovery is not done with it")
        return found


class SteeredGround(PlainGround):
    """The same to a unit of batond's."""

    unit = "baton@demo.service"
    options = ""

    def settings(self, it):
        it.engines["web"] = it.web(command=["./main"])

    def files(self):
        return {}


@contextlib.contextmanager
def plain_ground(kind=PlainGround):
    if not pathlib.Path(programs.path("baton")).resolve().parts[-2] == "debug":
        raise AssertionError("faults are for builds for debugging: --bin .build/debug")
    with tempfile.TemporaryDirectory(prefix="baton-plain-") as place, layer() as installed:
        made = kind(pathlib.Path(place), installed)
        try:
            made.prepare()
            yield made
        finally:
            made.down()
