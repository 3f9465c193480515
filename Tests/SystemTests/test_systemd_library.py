"""The Systemd library against a real systemd: what it says is understood, what it asks is answered."""

import json

from kit.waiting import wait_until
from on_machine import FIXTURE, OnMachine


class Notify(OnMachine):
    def setUp(self):
        super().setUp()
        self.unit(
            "n.service",
            f"[Service]\nType=notify\nExecStart={FIXTURE} ready\nStandardInput=file:/dev/null\n"
            "FileDescriptorStoreMax=4\nWatchdogSec=20\n",
        )

    def test_ready_status_store_and_barrier_are_understood(self):
        self.machine.run("systemctl", "start", "n.service")
        wait_until(lambda: self.machine.property("n.service", "NFileDescriptorStore") == "1", what="a stored descriptor")
        self.assertEqual(self.machine.property("n.service", "StatusText"), r"fixture is ready\now")
        lines = wait_until(self.printed, what="the fixture to pass the barrier")
        self.assertIn("watchdog 20.0 seconds", lines)
        self.assertNotIn("passed kept", lines)

    def test_what_is_stored_comes_back_by_name_after_a_restart(self):
        self.machine.run("systemctl", "start", "n.service")
        wait_until(self.printed, what="the fixture to pass the barrier")
        self.machine.run("systemctl", "restart", "n.service")
        wait_until(lambda: "passed kept" in (self.printed() or ""), what="the stored descriptor to come back")

    def printed(self):
        self.machine.run("journalctl", "--sync")
        lines = self.machine.run("journalctl", "-u", "n.service", "-o", "cat", "--no-pager").stdout
        return lines if "watchdog" in lines else None


class Bus(OnMachine):
    def fixture(self, *arguments, check=True):
        return self.machine.run(FIXTURE, *arguments, check=check)

    def test_the_version_is_read_over_both_ways(self):
        version = str(self.machine.systemd_version())
        self.assertEqual(self.fixture("version").stdout.strip(), version)
        self.assertEqual(self.fixture("version", "system").stdout.strip(), version)

    def test_properties_have_their_types(self):
        self.unit("p.service", "[Service]\nExecStart=/bin/true\nTimeoutStopSec=7\nDelegate=yes\nFileDescriptorStoreMax=9\n")
        shown = self.fixture("show", "p.service").stdout.split()
        for line in ("load=loaded", "active=inactive", "stop-timeout=7000000", "delegate=true", "store-max=9"):
            self.assertIn(line, shown)
        self.assertIn("load=not-found", self.fixture("show", "nowhere.service").stdout)

    def test_a_stop_for_good_is_told_from_a_restart(self):
        self.unit("s.service", "[Service]\nExecStart=/bin/sleep 100\nExecStop=/bin/sleep 30\n")
        self.machine.run("systemctl", "start", "s.service")
        self.assertIn("job=none", self.fixture("show", "s.service").stdout)
        self.machine.run("systemctl", "restart", "--no-block", "s.service")
        self.assertIn("job=restart", self.fixture("show", "s.service").stdout)
        self.machine.run("systemctl", "stop", "--no-block", "s.service")
        self.assertIn("job=stop", self.fixture("show", "s.service").stdout)

    def test_a_job_is_waited_for_and_its_result_told(self):
        self.unit("j.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test -e /run/good'\n")
        self.assertEqual(self.fixture("start", "j.service").stdout.strip(), "failed")
        self.machine.write("/run/good", "")
        # Short jobs end before the answer that names them is read: none may be missed.
        for _ in range(30):
            self.assertEqual(self.fixture("restart", "j.service", "10").stdout.strip(), "done")

    def test_a_job_that_takes_too_long_goes_on(self):
        self.unit("l.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 30\n")
        late = self.fixture("start", "l.service", "0", check=False)
        self.assertEqual(late.returncode, 1)
        self.assertIn("systemd is still at it", late.stderr)
        self.assertEqual(self.machine.property("l.service", "ActiveState"), "activating")

    def test_refusals_say_who_what_why_and_what_to_do(self):
        unknown = self.fixture("start", "nowhere.service", check=False)
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("cannot start nowhere.service: Unit nowhere.service not found", unknown.stderr)
        self.assertIn("org.freedesktop.systemd1.NoSuchUnit", unknown.stderr)
        self.unit("d.service", "[Service]\nExecStart=/bin/sleep 100\n")
        denied = self.machine.run("setpriv", "--reuid", "nobody", FIXTURE, "start", "d.service", check=False)
        self.assertEqual(denied.returncode, 1)
        self.assertIn("run it as root, or allow it by a polkit rule", denied.stderr)
        self.assertEqual(self.machine.property("d.service", "ActiveState"), "inactive")


class Journal(OnMachine):
    def test_fields_arrive_whole_small_and_large(self):
        for name, size in (("small", 20), ("large", 200_000)):
            self.machine.run(FIXTURE, "log", name, str(size))
        self.machine.run("journalctl", "--sync")
        found = self.machine.run(
            "journalctl", "-o", "json", "--all", "--no-pager", "MESSAGE_ID=2898f49e69bac4daabc38942ba7fea33"
        ).stdout
        entries = [json.loads(line) for line in found.splitlines()]
        self.assertEqual([entry["MESSAGE"] for entry in entries], ["small", "large"])
        self.assertEqual([len(entry["FIXTURE_LARGE"]) for entry in entries], [20, 200_000])
        for entry in entries:
            self.assertEqual(entry["PRIORITY"], "5")
            self.assertEqual(entry["FIXTURE"], "a\nb")
