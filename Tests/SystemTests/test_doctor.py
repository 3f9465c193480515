"""`baton doctor` on units as systemd has loaded them."""

import json

from kit.waiting import wait_until
from on_machine import FIXTURE, WithUnits

SETTINGS = """\
[service]
user = "root"
directory = "/"
[socket.http]
listen = "127.0.0.1:8000"
[engine.web]
command = ["/bin/true"]
sockets = ["http"]
prove = { socket = "http", path = "/" }
"""


class Doctor(WithUnits):
    """`baton doctor` on the units as systemd has loaded them."""

    def setUp(self):
        super().setUp()
        self.machine.write("/etc/baton/shop.toml", SETTINGS)
        self.machine.run("systemctl", "daemon-reload")

    def doctor(self, *arguments):
        done = self.machine.run("/opt/bin/baton", "doctor", "shop", "--json", *arguments, check=False)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if report["sound"] else 1, done.stderr)
        return {finding["id"]: finding for finding in report["findings"]}

    def drop_in(self, text):
        self.machine.write("/etc/systemd/system/baton@shop.service.d/own.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    def test_what_is_shipped_is_sound(self):
        self.assertEqual(self.doctor(), {})

    def test_what_a_drop_in_breaks_is_found(self):
        self.drop_in(
            "[Unit]\nStartLimitIntervalSec=10\n[Service]\nTimeoutStopSec=20\nKillMode=control-group\nNotifyAccess=all\n"
            "FileDescriptorStoreMax=0\nOOMPolicy=stop\nRestart=on-failure\nDelegate=no\nWatchdogSec=0\nLimitNOFILE=100\n"
            "CapabilityBoundingSet=\nCapabilityBoundingSet=CAP_KILL\nExecReload=\n"
        )
        found = self.doctor()
        self.assertEqual(
            set(found),
            {
                "stop-timeout", "kill-mode", "notify-access", "descriptor-store", "oom-policy", "restart", "delegate",
                "open-files", "probe-mark", "reload", "start-limit",
            },
        )  # fmt: skip
        self.assertEqual(found["stop-timeout"]["severity"], "error")

    def test_a_service_that_is_not_watched_is_found(self):
        self.drop_in(f"[Service]\nExecStart=\nExecStart={FIXTURE} ready\nWatchdogSec=0\n")
        self.machine.run("systemctl", "start", "baton@shop.service")
        self.assertEqual(set(self.doctor()), {"watchdog"})

    def test_a_type_systemd_does_not_know_is_found(self):
        self.drop_in("[Service]\nType=simple\nType=notify-reload\n")
        severity = "warning" if self.machine.systemd_version() >= 253 else "error"
        self.assertEqual(self.doctor()["type"]["severity"], severity)

    def test_a_change_that_is_not_loaded_is_found(self):
        # A unit that nothing refers to is forgotten, and read anew for each question.
        self.unit("holder.service", "[Unit]\nWants=baton@shop.service\n[Service]\nExecStart=/bin/sleep 100\n")
        self.machine.run("systemctl", "start", "holder.service")
        place = "/etc/systemd/system/baton@.service"
        self.machine.write(place, self.machine.read(place) + "# changed\n")
        self.assertEqual(set(self.doctor()), {"daemon-reload"})

    def test_a_unit_that_is_not_there_is_found(self):
        self.assertEqual(set(self.doctor("--unit", "nowhere.service")), {"unit-missing"})

    def test_a_stranger_on_the_port_is_named(self):
        self.machine.run("systemd-run", "--unit=other", "systemd-socket-activate", "-l", "127.0.0.1:8000", "/bin/cat")
        wait_until(lambda: ":1F40" in self.machine.run("cat", "/proc/net/tcp").stdout, what="the stranger to listen")
        found = self.doctor()
        self.assertEqual(set(found), {"stranger"})
        self.assertIn("systemd-socket-", found["stranger"]["what"])

    def test_the_host_is_examined(self):
        for name, value in (("core/somaxconn", 16), ("ipv4/tcp_migrate_req", 1)):
            self.machine.run("sh", "-c", f"echo {value} >/proc/sys/net/{name}")
        self.assertEqual(set(self.doctor()), {"backlog", "tcp-migrate-req"})

    def test_without_rights_it_says_what_it_could_not_see(self):
        done = self.machine.run(
            "setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "/opt/bin/baton", "doctor", "shop", "--json"
        )
        self.assertEqual([finding["id"] for finding in json.loads(done.stdout)["findings"]], ["strangers-unknown"])
