"""What a person reads: journal, catalog, doctor, verify; and varlinkctl where systemd has it."""

import json
import unittest

from kit.installed import installed
from kit.runner import within
from kit.waiting import wait_until


@within(120)
class Journal(unittest.TestCase):
    def test_entries_carry_their_fields(self):
        with installed() as it:
            it.start()
            it.systemctl("reload")
            it.systemctl("stop")
            entries = it.entries("BATON_SERVICE=demo")
            self.assertTrue(entries)
            known = {field for entry in entries for field in entry if field.startswith("BATON_")}
            for field in ("BATON_SERVICE", "BATON_ENGINE", "BATON_WORKER", "BATON_GENERATION", "BATON_OPERATION"):
                self.assertIn(field, known)
            self.assertTrue(any("MESSAGE_ID" in entry for entry in entries))

    def test_what_a_worker_prints_is_its_own(self):
        with installed() as it:
            it.start()
            printed = [e for e in it.entries("BATON_WORKER=web.1") if "ready" in str(e["MESSAGE"])]
            self.assertTrue(printed)
            self.assertEqual((printed[0]["BATON_ENGINE"], printed[0]["BATON_GENERATION"]), ("web", "1"))

    def test_every_kind_is_explained_by_the_catalog(self):
        with installed() as it:
            it.start()
            it.bad("answers-500")
            it.write()
            it.systemctl("reload", check=False)
            it.systemctl("stop")
            ids = {entry["MESSAGE_ID"] for entry in it.entries("BATON_SERVICE=demo", "_TRANSPORT=journal") if "MESSAGE_ID" in entry}
            self.assertGreaterEqual(len(ids), 3)
            catalog = it.machine.run("journalctl", "--list-catalog", *sorted(ids), check=False)
            self.assertEqual(len(catalog.stdout.strip().splitlines()), len(ids), catalog.stdout + catalog.stderr)
            self.assertIn("Subject", it.machine.run("journalctl", "-x", "--no-pager", "-u", it.unit).stdout)

    def test_baton_logs_shows_one_engine(self):
        with installed() as it:
            it.engines["jobs"] = it.idle()
            it.start()
            it.machine.run("journalctl", "--sync")
            shown = it.baton("logs", "demo", "jobs").stdout
            self.assertIn("ready", shown)
            self.assertNotIn("web.1", shown)


@within(120)
class Unit(unittest.TestCase):
    def test_systemd_analyze_verify_has_nothing_to_say(self):
        with installed() as it:
            it.start()
            units = it.machine.run("sh", "-c", "ls /usr/lib/systemd/system/baton*").stdout.split()
            self.assertTrue(units)
            done = it.machine.run(
                "systemd-analyze", "verify", "--man=no", it.unit, *[u for u in units if "@" not in u], check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_security_exposure_is_no_worse_than_recorded(self):
        with installed() as it:
            it.start()
            shown = json.loads(it.machine.run("systemd-analyze", "security", "--json=short", it.unit, check=False).stdout)
            total = it.machine.run("systemd-analyze", "security", "--no-pager", it.unit, check=False).stdout.splitlines()[-1]
            print(total)
            self.assertTrue(shown)
            threshold = it.machine.run("systemd-analyze", "security", "--threshold=60", it.unit, check=False)
            self.assertEqual(threshold.returncode, 0, total)


@within(120)
class Doctor(unittest.TestCase):
    def findings(self, it):
        done = it.baton("doctor", "demo", "--json", check=False)
        return done.stdout + done.stderr

    def test_the_unit_as_shipped_is_healthy(self):
        with installed() as it:
            it.start()
            done = it.baton("doctor", "demo", check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_it_names_what_will_bite(self):
        with installed() as it:
            it.start()
            for key, value in (
                ("TimeoutStopSec", "5"), ("KillMode", "process"), ("NotifyAccess", "all"), ("FileDescriptorStoreMax", "0"),
                ("OOMPolicy", "stop"), ("Restart", "no"),
            ):  # fmt: skip
                with self.subTest(key):
                    it.drop_in(f"[Service]\n{key}={value}\n")
                    self.assertIn(key, self.findings(it))


@within(120)
class Varlinkctl(unittest.TestCase):
    def test_introspect_and_call(self):
        with installed() as it:
            if it.machine.systemd_version() < 255:
                self.skipTest("varlinkctl came with systemd 255")
            it.start()
            control = "/run/baton/demo/control"
            described = it.machine.run("varlinkctl", "introspect", control, "io.baton.Service").stdout
            self.assertIn("method Status", described)
            status = json.loads(it.machine.run("varlinkctl", "call", "-j", control, "io.baton.Service.Status", "{}").stdout)
            self.assertEqual(status["serving"], 1)
            it.machine.run("varlinkctl", "call", control, "io.baton.Service.Reload", '{"wait":true}')
            self.assertEqual(it.status()["serving"], 2)


def as_user(it, user, *command):
    return it.machine.run(
        "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command, check=False)  # fmt: skip


def with_people(it):
    it.machine.write("/usr/lib/sysusers.d/people.conf", "u operator - -\nm operator baton\nu guest - -\n")
    it.machine.run("systemd-sysusers")


@within(120)
class Access(unittest.TestCase):
    def test_the_group_is_known_over_an_upgrade_and_looked_up_again_at_a_reload(self):
        with installed() as it:
            with_people(it)
            it.start()
            it.machine.run("baton", "upgrade", "demo")
            self.assertEqual(as_user(it, "operator", "baton", "reload", "demo").returncode, 0)
            self.assertEqual(as_user(it, "guest", "baton", "reload", "demo").returncode, 77)
            it.machine.run("sed", "-i", "s/^baton:x:[0-9]*:/baton:x:4242:/", "/etc/group")
            it.machine.run("baton", "reload", "demo")
            wait_until(lambda: as_user(it, "operator", "baton", "reload", "demo").returncode == 0, 10, "the group's new number")

    def test_the_group_baton_changes_and_the_services_user_only_reads(self):
        with installed() as it:
            with_people(it)
            it.start()
            self.assertEqual(as_user(it, "operator", "baton", "reload", "demo").returncode, 0)
            for user in ("guest", "demo"):
                self.assertEqual(as_user(it, user, "baton", "status", "demo").returncode, 0)
                self.assertEqual(as_user(it, user, "baton", "reload", "demo").returncode, 77)
            self.assertEqual(it.status()["serving"], 2)
            # A stop goes through systemd, which asks polkit.
            it.machine.run("systemctl", "start", "polkit")
            refused = as_user(it, "guest", "baton", "stop", "demo")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("members of the group baton", refused.stderr)
            self.assertEqual(it.status()["serving"], 2)
            stopped = as_user(it, "operator", "baton", "stop", "demo")
            self.assertEqual(stopped.returncode, 0, stopped.stderr)
            self.assertEqual(it.machine.run("systemctl", "is-active", "baton@demo", check=False).stdout.strip(), "inactive")
            another = as_user(it, "operator", "systemctl", "--no-ask-password", "stop", "systemd-journald.service")
            self.assertNotEqual(another.returncode, 0)
