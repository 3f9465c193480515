"""Deploys to units that baton does not supervise: the seed's own, and nginx."""

import json
import unittest

from kit.deploying import DIRECTORY, deployed
from kit.installed import HOME
from kit.runner import either_base, within
from kit.waiting import wait_until

# As the script's documentation had it: reload sends HUP, which the program knows nothing of.
SEED_UNIT = f"""
[Unit]
Description=A service like any other
[Service]
Type=simple
User=demo
WorkingDirectory={DIRECTORY}/current
ExecStart={DIRECTORY}/current/main --listen 127.0.0.1:8000 --stamp-file {HOME}/stamps
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
TimeoutStopSec=30
Restart=on-failure
"""

NGINX_UNIT = f"""
[Unit]
Description=nginx with a configuration that is deployed
[Service]
Type=forking
PIDFile=/run/site.pid
ExecStart=/usr/sbin/nginx -c {DIRECTORY}/current/nginx.conf
ExecReload=/usr/sbin/nginx -c {DIRECTORY}/current/nginx.conf -s reload
"""

NGINX_CONF = """
pid /run/site.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  server {{ listen 127.0.0.1:8000; location / {{ return 200 "{version} plain"; }} }}
}}
"""


def plain(it, unit, text, **deploy):
    """Turns the service into a plain unit of systemd."""
    it.machine.write(f"/etc/systemd/system/{unit}", text)
    it.machine.run("systemctl", "daemon-reload")
    it.unit = unit
    it.engines, it.sockets = {}, {}
    it.deploy |= {"unit": unit, **deploy}
    it.write()


@either_base
@within(240)
class Restarted(unittest.TestCase):
    def identity(self, it):
        return it.property("MainPID"), it.property("InvocationID")

    def test_A3_restart_brings_new_code_where_a_reload_would_kill(self):
        with deployed() as it:
            plain(it, "shop.service", SEED_UNIT, activate="restart")
            it.first("v1")
            before = self.identity(it)
            it.version("v2")
            it.deploys()
            after = self.identity(it)
            self.assertEqual(it.answered_by(), "v2")
            self.assertTrue(all(new != old for new, old in zip(after, before)), (before, after))
            self.assertEqual(it.property("ActiveState"), "active")

    def test_A3_a_reload_that_kills_the_program_ends_with_the_old_one_back(self):
        with deployed() as it:
            plain(it, "shop.service", SEED_UNIT)
            it.first("v1")
            old = it.current
            it.version("v2")
            done = it.fails()
            self.assertIn("shop.service", done.stderr)
            self.assertEqual(it.current, old)
            wait_until(lambda: it.answered_by() == "v1", 10, lambda: it.journal())

    def test_A4_A20_one_that_dies_after_its_start_leads_back(self):
        with deployed() as it:
            plain(it, "shop.service", SEED_UNIT, activate="restart")
            it.bake = {"for": "3s", "interval": "200ms"}
            it.first("v1")
            old = it.current
            it.bad_version("dies-after-ready=1000")
            it.fails()
            self.assertEqual(it.current, old)
            wait_until(lambda: it.answered_by() == "v1", 10, lambda: it.journal())

    def test_A19_somebody_elses_answer_is_no_proof(self):
        """The port answers 200 all the time; it is not the unit that does."""
        with deployed() as it:
            plain(it, "shop.service", SEED_UNIT.replace("127.0.0.1:8000", "127.0.0.1:8001"), activate="restart")
            it.version("v1")
            self.assertNotEqual(it.run("deploy", "demo", "--no-rollback", check=False).returncode, 0)

    def test_a_unit_that_runs_from_elsewhere_is_refused_with_the_remedy(self):
        with deployed() as it:
            plain(it, "shop.service", SEED_UNIT, activate="restart")
            it.first("v1")
            self.assertEqual(it.run("preflight", "demo", "--json", check=False).returncode, 0)
            # What no deploy replaces: it would answer well after every one, with the old code.
            it.machine.run("cp", f"{DIRECTORY}/current/main", "/srv/main")
            plain(it, "shop.service", SEED_UNIT.replace(f"{DIRECTORY}/current", "/srv"), activate="restart")
            it.machine.run("systemctl", "restart", "shop.service")
            old = it.names("releases")
            it.version("v2")
            done = it.fails()
            self.assertIn("starts /srv/main", done.stderr)
            self.assertIn("baton adopt", done.stderr)
            self.assertEqual(it.names("releases"), old)
            # A link to it, as an adoption makes one, is as good as its own name.
            it.machine.run("ln", "-s", f"{DIRECTORY}/current", "/srv/app")
            plain(it, "shop.service", SEED_UNIT.replace(f"{DIRECTORY}/current", "/srv/app"), activate="restart")
            it.deploys()
            self.assertEqual(it.answered_by(), "v2")

    def test_preflight_says_how_long_a_stop_of_the_unit_may_take(self):
        with deployed() as it:

            def unit(text):
                plain(it, "shop.service", text, activate="restart")
                it.write()
                it.machine.run("systemctl", "daemon-reload")
                looks = json.loads(it.run("preflight", "demo", "--json", check=False).stdout)["checks"]
                return next((each["state"], each["what"]) for each in looks if each["check"] == "unit")

            ordered = SEED_UNIT.replace("[Service]", "Wants=baton-recover.service\nAfter=baton-recover.service\n[Service]")
            state, what = unit(ordered)
            self.assertEqual(state, "fine", what)
            self.assertIn("stops in 30 s at most", what)
            state, what = unit(ordered.replace("TimeoutStopSec=30\n", "TimeoutStopSec=infinity\n"))
            self.assertEqual(state, "weak", what)
            self.assertIn("may hang (TimeoutStopSec=)", what)
            # One doubt does not hide another.
            state, what = unit(SEED_UNIT.replace("TimeoutStopSec=30\n", "TimeoutStopSec=infinity\n"))
            self.assertEqual(state, "weak", what)
            self.assertIn("does not wait at boot", what)
            self.assertIn("may hang (TimeoutStopSec=)", what)

    def test_a_unit_that_does_not_exist_is_refused_before_anything_is_begun(self):
        with deployed() as it:
            it.first("v1")
            old = it.names("releases")
            it.deploy["unit"] = "no-such.service"
            it.write()
            it.version("v2")
            done = it.fails()
            self.assertIn("no-such.service", done.stderr)
            self.assertIn("nothing was begun", done.stderr)
            self.assertEqual((it.answered_by(), it.names("releases")), ("v1", old))

    def test_A5_A21_without_a_way_forward_or_back_a_person_is_called(self):
        with deployed() as it:
            plain(it, "shop.service", SEED_UNIT, activate="restart")
            it.first("v1")
            it.machine.write("/etc/systemd/system/shop.service.d/cut.conf", "[Service]\nExecStartPre=/bin/false\nRestart=no\n")
            it.machine.run("systemctl", "daemon-reload")
            it.version("v2")
            done = it.fails(status=2)
            self.assertIn("recover", done.stderr)


@within(240)
class Nginx(unittest.TestCase):
    """A real server with a reload of its own, whose workers are new and whose main process is not."""

    def test_a_deploy_of_its_configuration(self):
        with deployed() as it:
            plain(it, "site.service", NGINX_UNIT)
            it.deploy |= {"build": [], "artifacts": []}
            it.write()
            for version in ("v1", "v2"):
                it.repository.write("nginx.conf", NGINX_CONF.format(version=version))
                it.version(version)
                it.deploys(*(["--no-rollback"] if version == "v1" else []))
                self.assertEqual(it.answered_by(), version)
            old = it.current
            it.repository.write("nginx.conf", "no configuration at all\n")
            it.version("v3")
            it.fails()
            self.assertEqual((it.current, it.answered_by()), (old, "v2"))
