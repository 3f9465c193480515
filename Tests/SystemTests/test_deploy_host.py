"""A deploy in its own unit: started by an unprivileged deploy user, allowed by polkit, followed and left alone."""

import json
import unittest

from kit import toml
from kit.installed import HOME, installed
from kit.runner import within
from kit.waiting import wait_until

AS_DEPLOYER = ("setpriv", "--reuid", "baton-deploy", "--regid", "baton-deploy", "--init-groups", "env", "HOME=/var/lib/baton-deploy")


class Host:
    """The service `demo` of a lab machine, with [deploy]."""

    def __init__(self, it):
        self.it, self.machine = it, it.machine
        self.deploy = {"repository": f"{HOME}/repository", "artifacts": ["serve"]}
        self.bake = {"for": "0s"}
        self.machine.run("systemctl", "start", "polkit")
        self.machine.run("chown", "baton-deploy", f"{HOME}/app")
        self.write()

    def write(self):
        self.it.more = {"deploy": self.deploy, "bake": self.bake}
        self.it.write()

    def checklist(self, *command):
        """Something that a deploy does first, and that refuses it."""
        self.deploy["checklist"] = [{"text": "look", "run": list(command)}]
        self.write()

    def baton(self, *words, check=False, within=60):
        """As the deploy user."""
        return self.machine.run(*AS_DEPLOYER, "baton", *words, check=check, within=within)

    def act(self, *words, check=False):
        """systemctl as the deploy user, who has no password to be asked for."""
        return self.machine.run(*AS_DEPLOYER, "systemctl", "--no-ask-password", *words, check=check)

    def unit(self, name):
        return self.machine.property("baton-deploy@demo.service", name)

    def history(self):
        return json.loads(self.baton("history", "demo", "--json", check=True).stdout)["operations"]


@within(120)
class Unit(unittest.TestCase):
    def test_the_work_is_done_in_the_unit_as_the_deploy_user(self):
        with installed() as it:
            host = Host(it)
            it.start()
            host.checklist("sh", "-c", "id -un; cat /proc/self/cgroup; exit 7")
            done = host.baton("deploy", "demo")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("| baton-deploy", done.stderr)
            self.assertIn("baton-deploy@demo.service", done.stderr)
            self.assertEqual(host.unit("ExecMainStatus"), "1")
            # Root asks in the same way, and leaves no file of its own.
            self.assertEqual(it.baton("deploy", "demo", check=False).returncode, 1)
            owners = it.machine.run("find", f"{HOME}/app/deploys", "-not", "-user", "baton-deploy").stdout
            self.assertEqual(owners, "")
            self.assertEqual(len(host.history()), 2)

    def test_it_outlives_the_one_who_asked(self):
        with installed() as it:
            host = Host(it)
            it.start()
            host.checklist("sh", "-c", "echo began; sleep 2; exit 7")  # SLEEPS
            client = it.machine.start(*AS_DEPLOYER, "baton", "deploy", "demo")
            wait_until(lambda: host.unit("ActiveState") == "active", 20, "the unit to work")
            it.machine.run("pkill", "-KILL", "-f", "^baton deploy demo")
            client.wait(10)
            attached = host.baton("deploy", "demo", "--attach", "--json")
            self.assertEqual(attached.returncode, 1, attached.stderr)
            self.assertEqual(json.loads(attached.stdout)["step"], "preflight")

    def test_a_stop_of_the_unit_is_an_orderly_end(self):
        with installed() as it:
            host = Host(it)
            it.start()
            host.checklist("sleep", "50")  # SLEEPS
            client = it.machine.start(*AS_DEPLOYER, "baton", "deploy", "demo")
            wait_until(lambda: host.unit("ActiveState") == "active" and host.history(), 20, "the unit to work")
            it.machine.run("systemctl", "stop", "baton-deploy@demo")
            client.wait(20)
            self.assertEqual(host.history()[0]["state"], "aborted")

    def test_the_next_one_waits_for_its_turn(self):
        with installed() as it:
            host = Host(it)
            it.start()
            host.checklist("sh", "-c", "sleep 2; exit 7")  # SLEEPS
            first = it.machine.start(*AS_DEPLOYER, "baton", "deploy", "demo")
            wait_until(lambda: host.unit("ActiveState") == "active", 20, "the unit to work")
            refused = host.baton("deploy", "demo")
            self.assertEqual(refused.returncode, 75, refused.stderr)
            self.assertIn("--attach", refused.stderr)
            waited = host.baton("deploy", "demo", "--wait", "30s")
            self.assertEqual(waited.returncode, 1, waited.stderr)
            first.wait(20)
            self.assertEqual(len(host.history()), 2, "the one refused left nothing behind")

    def test_resources_are_bounded(self):
        with installed() as it:
            Host(it)
            for name, value in {"CPUWeight": "20", "IOWeight": "20", "TasksMax": "4096", "OOMPolicy": "continue"}.items():
                self.assertEqual(it.machine.property("baton-deploy@demo.service", name), value)
            self.assertNotEqual(it.machine.property("baton-deploy@demo.service", "MemoryMax"), "infinity")


@within(120)
class Whole(unittest.TestCase):
    """From a commit to a release that serves, by an unprivileged user, and back."""

    def prepare(self, it):
        host = Host(it)
        it.machine.run("install", "-d", "-o", "baton-deploy", f"{HOME}/repository")
        it.machine.run(*AS_DEPLOYER, "git", "init", "-q", "-b", "main", f"{HOME}/repository")
        it.engines["web"]["command"] = ["./serve"]
        self.program(it, f"{HOME}/app/serve", "none")
        host.write()
        it.start()
        return host

    def program(self, it, path, version):
        words = " ".join(it.fixture("--version-text", version))
        it.machine.write(path, f"#!/bin/sh\nexec {words}\n", mode=0o755)

    def version(self, it, name):
        self.program(it, f"{HOME}/repository/serve", name)
        git = (*AS_DEPLOYER, "git", "-C", f"{HOME}/repository", "-c", "user.name=t", "-c", "user.email=t@t")
        it.machine.run(*git, "add", "-A")
        it.machine.run(*git, "commit", "-q", "-m", name)

    def test_there_and_back_in_the_unit(self):
        with installed() as it:
            host = self.prepare(it)
            for name in ("one", "two"):
                self.version(it, name)
                with it.load() as load:
                    done = host.baton("deploy", "demo")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual((it.ask().release, load.report.failed), (name, 0))
            done = host.baton("rollback", "demo")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(it.ask().release, "one")
            self.assertEqual([each["state"] for each in host.history()], ["good"] * 3)

    def test_a_bake_that_is_left_goes_on_in_its_own_unit(self):
        with installed() as it:
            host = self.prepare(it)
            host.bake = {"for": "2s", "interval": "500ms"}
            host.write()
            self.version(it, "one")
            done = host.baton("deploy", "demo", "--detach-bake")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("serves", done.stdout)
            wait_until(lambda: host.history()[0]["state"] == "good", 20, "the end of the bake")


@within(120)
class Rights(unittest.TestCase):
    """polkit lets the deploy user do what a deploy needs, and nothing that makes it somebody else."""

    def test_what_it_may(self):
        with installed() as it:
            host = Host(it)
            it.start()
            for verb in ("reload", "restart", "reload-or-restart", "reset-failed", "stop", "start"):
                done = host.act(verb, "baton@demo.service")
                self.assertEqual(done.returncode, 0, f"{verb}: {done.stderr}")
            for name, unit in (("other", "other.service"), ("third", "third.service")):
                it.machine.write(f"/etc/systemd/system/{unit}", "[Service]\nExecStart=/bin/sleep 1000\n")  # SLEEPS
                if name == "other":
                    it.machine.write(
                        "/etc/baton/other.toml",
                        toml.table("service", {"directory": HOME}) + toml.table("deploy", {"unit": unit}))
            it.machine.run("systemctl", "daemon-reload")
            self.assertEqual(host.act("start", "other.service").returncode, 0)
            self.assertNotEqual(host.act("start", "third.service").returncode, 0, "no settings file names it")
            self.assertNotEqual(host.act("kill", "other.service").returncode, 0)
            # Being in the group baton, to ask batond, gives it no other service of systemd's.
            for verb in ("start", "stop", "restart"):
                self.assertIn("authentication required", host.act(verb, "baton@third.service").stderr, verb)

    def test_it_cannot_run_a_command_as_root(self):
        with installed() as it:
            Host(it)
            tries = {
                "systemd-run": ("systemd-run", "--no-ask-password", "--wait", "touch", "/etc/was-here"),
                "a transient unit with the name it may start": (
                    "systemd-run", "--no-ask-password", "--wait", "--unit=baton-deploy@x.service", "touch", "/etc/was-here"),
                "a property of the unit": (
                    "systemctl", "--no-ask-password", "set-property", "--runtime", "baton-deploy@demo.service", "CPUWeight=1"),
                "a drop-in": ("systemctl", "--no-ask-password", "edit", "--stdin", "baton-deploy@demo.service"),
                "a link": ("systemctl", "--no-ask-password", "link", "/var/lib/baton-deploy/x.service"),
                "an environment": ("systemctl", "--no-ask-password", "set-environment", "LD_PRELOAD=/tmp/x.so"),
                "daemon-reload": ("systemctl", "--no-ask-password", "daemon-reload"),
            }  # fmt: skip
            it.machine.write("/var/lib/baton-deploy/x.service", "[Service]\nExecStart=/bin/touch /etc/was-here\n")
            for name, words in tries.items():
                done = it.machine.run(*AS_DEPLOYER, *words, check=False, input="[Service]\nUser=root\n")
                self.assertNotEqual(done.returncode, 0, name)
            self.assertFalse(it.machine.path("/etc/was-here").exists())

    def test_a_request_that_somebody_else_wrote_is_not_taken(self):
        with installed() as it:
            host = Host(it)
            it.start()
            host.checklist("false")
            host.baton("deploy", "demo")
            folder = f"{HOME}/app/deploys/20261121T000000Z-0000"
            it.machine.run("install", "-d", "-o", "baton-deploy", folder)
            it.machine.write(f"{folder}/request.json", "{}")
            it.machine.run("chown", "demo", f"{folder}/request.json")
            host.act("start", "baton-deploy@demo.service")
            wait_until(lambda: it.machine.path(f"{folder}/output.log").exists(), 10, "the unit to look at it")
            wait_until(lambda: "EPERM" in it.machine.read(f"{folder}/output.log"), 10, "the refusal")


@within(120)
class Boot(unittest.TestCase):
    def test_services_wait_for_what_is_put_right(self):
        with installed() as it:
            Host(it)
            it.start()
            self.assertEqual(it.machine.property("baton-recover.service", "ActiveState"), "active")
            after = it.machine.property("baton@demo.service", "After").split()
            self.assertIn("baton-recover.service", after)
