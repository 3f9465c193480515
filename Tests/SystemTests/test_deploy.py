"""`baton deploy` of a baton@ unit under a real systemd: what clients, `current` and the records have of it."""

import json
import unittest

from kit.deploying import DIRECTORY, deployed
from kit.runner import either_base, within
from kit.waiting import wait_until


class DeployCase(unittest.TestCase):
    """What must hold after any deploy, whatever became of it."""

    def assert_served(self, it, version, load=None):
        """This version answers and `current` names a release of it; no request failed, and none met a bad version."""
        self.assertEqual(it.answered_by(), version)
        self.assertIn(it.current, it.names("releases"))
        self.assertEqual(it.machine.read(f"{DIRECTORY}/current/VERSION").strip(), version)
        self.assertEqual(it.bad_counts()["clients"], 0)
        if load is not None:
            self.assertEqual(load.report.failed, 0, load.report)

    def assert_at_rest(self, it):
        """Nothing half-done: recovery finds nothing, the lock is free, no release is left over."""
        self.assertEqual(json.loads(it.run("recover", "demo", "--json").stdout)["operations"], [])
        leftovers = [name for name in it.names("releases") + it.names("") if ".tmp-" in name]
        self.assertEqual(leftovers, [])


@either_base
@within(240)
class Good(DeployCase):
    def test_a_deploy_under_load_fails_no_request(self):
        with deployed() as it:
            it.first("v1")
            with it.load() as load:
                it.version("v2")
                it.deploys()
            self.assert_served(it, "v2", load)
            self.assert_at_rest(it)

    def test_the_first_one_starts_the_unit(self):
        with deployed() as it:
            it.first("v1")
            self.assert_served(it, "v1")
            self.assertEqual(it.property("ActiveState"), "active")


@either_base
@within(240)
class Refused(DeployCase):
    def test_a_broken_build_changes_nothing(self):
        with deployed() as it:
            it.first("v1")
            before = it.current
            with it.load() as load:
                it.broken_version()
                done = it.fails()
            self.assertIn("broken on purpose", done.stdout + done.stderr)
            self.assertEqual(it.current, before)
            self.assert_served(it, "v1", load)
            self.assert_at_rest(it)

    def test_a_version_that_does_not_start_never_meets_a_client(self):
        with deployed() as it:
            it.first("v1")
            before = it.current
            with it.load() as load:
                for misbehaviour in ("exits-at-start=9", "answers-500"):
                    it.bad_version(misbehaviour)
                    it.fails()
            self.assertEqual(it.current, before)
            self.assert_served(it, "v1", load)
            self.assert_at_rest(it)

    def test_one_that_fails_only_the_health_check_never_meets_a_client(self):
        """batond's own proof is content with it; the deploy's question is put to it before any client's is."""
        with deployed() as it:
            it.health["check"][0]["contains"] = "ok"
            it.first("v1")
            before = it.current
            with it.load() as load:
                it.bad_version("wrong-body")
                it.fails()
            self.assertEqual(it.current, before)
            self.assert_served(it, "v1", load)
            self.assert_at_rest(it)


@either_base
@within(240)
class CutOff(DeployCase):
    """SIGKILL of everything the deploy is, in the middle of its activation."""

    def cut(self, it):
        """Kills one whose new version takes its time to start; the load goes on."""
        before = it.operations()
        it.version("v2", start_delay=1500)
        client = it.begin()
        it.wait_step("intends", "activate", besides=before)
        it.kill_deploy()
        client.communicate(timeout=60)

    def test_recover_leaves_exactly_the_old_or_the_new(self):
        with deployed() as it:
            it.first("v1")
            with it.load() as load:
                self.cut(it)
                it.run("recover", "demo")
                served = it.answered_by()
            self.assertIn(served, ("v1", "v2"))
            self.assert_served(it, served, load)
            self.assert_at_rest(it)

    def test_the_next_deploy_brings_it_to_its_end_first(self):
        with deployed() as it:
            it.first("v1")
            with it.load() as load:
                self.cut(it)
                it.version("v3")
                it.deploys()
            self.assert_served(it, "v3", load)
            self.assert_at_rest(it)


@either_base
@within(240)
class AtOnce(DeployCase):
    def test_the_second_is_told_who_is_at_work(self):
        with deployed() as it:
            it.deploy["build"].append(["sleep", "3"])
            it.first("v1")
            before = it.operations()
            it.version("v2")
            client = it.begin()
            it.wait_step("intends", "build", besides=before)
            for words in (["deploy", "demo"], ["rollback", "demo"]):
                done = it.run(*words, check=False)
                self.assertEqual(done.returncode, 75, done.stderr)
                self.assertIn("busy", done.stderr)
            self.assertEqual(client.wait(60), 0)
            self.assert_served(it, "v2")
            self.assert_at_rest(it)

    def test_who_waits_gets_its_turn(self):
        with deployed() as it:
            it.deploy["build"].append(["sleep", "2"])
            it.first("v1")
            before = it.operations()
            it.version("v2")
            client = it.begin()
            it.wait_step("intends", "build", besides=before)
            it.deploys("--wait", "60s")
            self.assertEqual(client.wait(60), 0)
            self.assertEqual(len(it.operations()), len(before) + 2)
            self.assert_served(it, "v2")


@either_base
@within(240)
class Connection(DeployCase):
    def test_a_dropped_connection_changes_nothing_and_attach_picks_it_up(self):
        with deployed() as it:
            it.deploy["build"].append(["sleep", "3"])
            it.first("v1")
            it.machine.run("sh", "-c", "mkdir -p -m 700 /root/.ssh /run/sshd && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id "
                           "&& cp /root/.ssh/id.pub /root/.ssh/authorized_keys && systemctl start ssh")  # fmt: skip
            before = it.operations()
            it.version("v2")
            client = it.machine.start(
                "ssh", "-i", "/root/.ssh/id", "-o", "StrictHostKeyChecking=accept-new", "root@127.0.0.1", "baton deploy demo",
                stdin=-3, stdout=-3, stderr=-3)  # fmt: skip
            it.wait_step("intends", "build", besides=before)
            it.machine.run("pkill", "-KILL", "-x", "ssh")
            it.machine.run("pkill", "-KILL", "-f", "^sshd: root", check=False)  # it may have seen the end by itself
            client.wait(10)
            done = it.run("deploy", "demo", "--attach")
            self.assertEqual(done.returncode, 0)
            wait_until(lambda: it.answered_by() == "v2", 5)
            self.assert_served(it, "v2")
            self.assert_at_rest(it)


@either_base
@within(240)
class Back(DeployCase):
    def test_a_rollback_goes_to_the_last_good_release_and_fails_no_request(self):
        with deployed() as it:
            it.first("v1")
            it.version("v2")
            it.deploys()
            with it.load() as load:
                it.run("rollback", "demo")
            self.assert_served(it, "v1", load)
            self.assert_at_rest(it)
