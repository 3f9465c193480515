"""What the deploy user may ask of systemd, and what it may never get at."""

import unittest

from kit.deploying import DIRECTORY, USER, deployed
from kit.runner import within

OTHER = "/srv/other"


@within(240)
class DeployUser(unittest.TestCase):
    def as_user(self, it, *command, within=60):
        return it.machine.run("runuser", "-u", USER, "--", *command, check=False, within=within)

    def assert_refused(self, it, *command):
        done = self.as_user(it, *command)
        self.assertNotEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")

    def test_it_deploys_without_being_root(self):
        with deployed() as it:
            it.first("v1")
            it.version("v2")
            done = self.as_user(it, "baton", "deploy", "demo", within=90)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr + it.deploy_journal())
            self.assertEqual(it.answered_by(), "v2")

    def test_it_may_reload_and_restart_its_service_and_no_other(self):
        with deployed() as it:
            it.first("v1")
            for verb in ("reload", "restart"):
                done = self.as_user(it, "systemctl", verb, it.unit)
                self.assertEqual(done.returncode, 0, done.stderr)
            for verb, unit in (
                ("restart", "dbus.service"), ("start", "nginx.service"), ("stop", "systemd-journald.service"),
                ("restart", "baton@other.service"), ("start", "baton-deploy@..service"), ("start", "rescue.target"),
                ("kill", it.unit), ("mask", it.unit), ("enable", "nginx.service"), ("set-property", it.unit),
            ):  # fmt: skip
                self.assert_refused(it, "systemctl", verb, unit, *(["CPUWeight=1"] if verb == "set-property" else []))

    def test_it_cannot_run_a_command_as_root(self):
        with deployed() as it:
            it.first("v1")
            mark = "/run/was-root"
            self.assert_refused(it, "systemd-run", "--wait", "--quiet", "touch", mark)
            for name in ("made-up.service", "baton-deploy@demo.service", "baton-deploy@made-up.service", "baton@demo.service"):
                self.assert_refused(
                    it, "busctl", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                    "org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))", name, "replace",
                    "1", "ExecStart", "a(sasb)", "1", "/usr/bin/touch", "2", "touch", mark, "false", "0")  # fmt: skip
            self.assert_refused(it, "systemctl", "set-environment", "LD_PRELOAD=/tmp/x.so")
            self.assert_refused(it, "systemctl", "link", f"{DIRECTORY}/evil.service")
            self.assertFalse(it.machine.path(mark).exists())

    def test_it_can_write_nothing_that_root_runs_or_reads_as_orders(self):
        with deployed() as it:
            it.first("v1")
            places = ["/usr", "/etc", "/lib", "/bin", "/sbin", "/opt", "/root", "/boot", "/run/systemd", "/run/baton",
                      "/var/lib/baton", "/var/lib/systemd", "/var/spool"]  # fmt: skip
            found = self.as_user(
                it, "sh", "-c", "for each; do [ ! -e $each ] || find $each -xdev \\( -type f -o -type d \\) -writable; done 2>/dev/null",
                "find", *places).stdout.split()  # fmt: skip
            self.assertEqual(found, [])
            # What its own directory holds runs as the service's user, never as root.
            for pid in it.pids():
                self.assertEqual(it.machine.run("stat", "-c", "%U", f"/proc/{pid}").stdout.strip(), "demo")

    def test_a_build_runs_as_it_and_reads_no_secret_of_others(self):
        with deployed() as it:
            it.machine.write("/etc/baton/other.env", "PASSWORD=of-others\n", mode=0o600)
            it.machine.run("install", "-d", "-m", "700", f"{OTHER}/backups")
            it.machine.write(f"{OTHER}/backups/one.tar.zst", "an archive of others\n", mode=0o600)
            it.deploy["build"].append([
                "sh", "-c", f"id -un >main.user; ! cat /etc/baton/other.env {OTHER}/backups/one.tar.zst; "
                "! touch /usr/bin/x; ! cat /proc/1/environ"])  # fmt: skip
            it.first("v1")
            self.assertEqual(it.machine.read(f"{DIRECTORY}/current/main.user").strip(), USER)

    def test_a_request_of_somebody_else_is_not_taken_up(self):
        """Only the deploy user and root write what the unit believes."""
        with deployed() as it:
            it.first("v1")
            it.machine.write("/usr/lib/sysusers.d/mallory.conf", "u mallory - -\n")
            it.machine.run("systemd-sysusers")
            for command in (["baton", "deploy", "demo"], ["systemctl", "start", it.deploy_unit], ["systemctl", "reload", it.unit]):
                done = it.machine.run("runuser", "-u", "mallory", "--", *command, check=False)
                self.assertNotEqual(done.returncode, 0, (command, done.stdout, done.stderr))
            self.assertNotEqual(
                it.machine.run("runuser", "-u", "mallory", "--", "mkdir", f"{DIRECTORY}/deploys/x", check=False).returncode, 0)
