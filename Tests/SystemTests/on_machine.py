"""Tests that have a machine with a real systemd each."""

import os
import pathlib
import unittest

from kit import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("BATON_BIN", ROOT / ".build/release"))
UNITS = ROOT / "units"
FIXTURE = "/opt/bin/fixture-systemd"


class OnMachine(unittest.TestCase):
    """One machine a test, of the base the runner was started with."""

    def setUp(self):
        reason = machine.missing()
        if reason:
            self.skipTest(reason)
        binds = [f"{BIN}:/opt/bin", *filter(None, os.environ.get("BATON_LAB_BINDS", "").split(","))]
        self.machine = machine.Machine.up(os.environ.get("BATON_LAB_BASE", "bookworm"), binds=binds)
        self.addCleanup(self.machine.down, now=True)

    def unit(self, name, text):
        self.machine.write(f"/run/systemd/system/{name}", text)
        self.machine.run("systemctl", "daemon-reload")


class WithUnits(OnMachine):
    """The units this project ships are installed; batond and baton are stand-ins that do nothing."""

    def setUp(self):
        super().setUp()
        place = "/etc/systemd/system/"
        for name in (
            "baton@.service", "baton@.socket", "baton-deploy@.service", "baton-bake@.service", "baton-recover.service",
        ):  # fmt: skip
            self.machine.write(place + name, (UNITS / name).read_text())
        if self.machine.systemd_version() >= 254:
            preserve = "baton@.service.d/50-preserve.conf"
            self.machine.write(place + preserve, (UNITS / preserve).read_text())
        self.machine.run("systemd-sysusers", "--inline", "u baton-deploy -")
        for program in ("batond", "baton"):
            self.machine.write(f"/usr/bin/{program}", "#!/bin/sh\n", mode=0o755)
