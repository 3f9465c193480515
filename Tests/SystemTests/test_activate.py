"""Activation of units that baton does not supervise: nginx, programs that do not start, units that are not there."""

import subprocess
import time

from kit.runner import either_base, within
from kit.waiting import wait_until
from on_machine import OnMachine

SHOP = "/srv/shop"
NGINX = f"""
worker_processes 2;
pid /run/shop.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  server {{ listen 127.0.0.1:8080; root {SHOP}/current; }}
}}
"""
STEPS = ("/opt/bin/fixture-activate", "/etc/baton/shop.toml", "r2", "--previous", "r1")
UNIT = """
[Service]
Type=exec
ExecStart=/usr/sbin/nginx -c /srv/shop.conf -g 'daemon off;'
ExecReload=/bin/kill -HUP $MAINPID
"""


@either_base
@within(120)
class Plain(OnMachine):
    def setUp(self):
        super().setUp()
        for name in ("r1", "r2"):
            self.machine.write(f"{SHOP}/releases/{name}/index.html", f"this is {name}\n")
        self.machine.run("ln", "-s", "releases/r1", f"{SHOP}/current")
        self.machine.write("/srv/shop.conf", NGINX)
        self.unit("shop.service", UNIT)
        self.settings()

    def settings(self, unit="shop.service", activate="reload", contains="this is r2", port=8080, bake=""):
        self.machine.write(
            "/etc/baton/shop.toml",
            f"""
[service]
user = "root"
directory = "{SHOP}"
[deploy]
user = "root"
unit = "{unit}"
activate = "{activate}"
[health]
passes = 2
interval = "50ms"
deadline = "2s"
[[health.check]]
url = "http://127.0.0.1:{port}/"
contains = "{contains}"
[bake]
{bake or 'for = "0s"'}
""",
        )

    def run_steps(self, *words):
        done = self.machine.run(*STEPS, *words, check=False, within=100)
        return done.returncode, done.stdout + done.stderr

    def current(self):
        return self.machine.run("readlink", f"{SHOP}/current").stdout.strip()

    def start(self):
        self.machine.run("systemctl", "start", "shop.service")
        wait_until(lambda: self.fetch() == "this is r1", 10, "nginx to answer")

    def fetch(self):
        found = self.machine.run(
            "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && tail -n1 <&3",
            check=False,
        )  # fmt: skip
        return found.stdout.strip()

    def test_a_reload_takes_the_new_release_and_is_proved_by_new_processes(self):
        self.start()
        main = self.machine.property("shop.service", "MainPID")
        status, said = self.run_steps("activate", "check")
        self.assertEqual(status, 0, said)
        self.assertIn("effect: bus reload-or-restart shop.service", said)
        self.assertEqual((self.current(), self.fetch()), ("releases/r2", "this is r2"))
        self.assertEqual(self.machine.property("shop.service", "MainPID"), main)

    def test_a_restart_is_another_invocation(self):
        self.start()
        first = self.machine.property("shop.service", "InvocationID")
        self.settings(activate="restart")
        status, said = self.run_steps("activate", "check")
        self.assertEqual(status, 0, said)
        self.assertNotEqual(self.machine.property("shop.service", "InvocationID"), first)

    def test_one_that_does_not_run_is_started(self):
        status, said = self.run_steps("activate", "check")
        self.assertEqual(status, 0, said)
        self.assertIn("effect: bus start shop.service", said)

    def test_what_fails_its_check_is_taken_back_by_the_same_way(self):
        self.start()
        self.settings(contains="this is r3")
        status, said = self.run_steps("activate", "check")
        self.assertEqual(status, 1)
        self.assertIn('does not contain "this is r3"', said)
        self.settings(contains="this is r1")
        status, said = self.run_steps("undo", "--exposed")
        self.assertEqual(status, 0, said)
        self.assertIn("the old release, put back: health check passed", said)
        self.assertEqual((self.current(), self.fetch()), ("releases/r1", "this is r1"))

    def test_a_reload_that_keeps_the_old_processes_is_no_activation(self):
        self.unit("shop.service", UNIT.replace("/bin/kill -HUP $MAINPID", "/bin/true"))
        self.start()
        status, said = self.run_steps("activate")
        self.assertEqual(status, 1, said)
        self.assertIn("runs on with the processes it had", said)
        self.assertIn('activate = "restart"', said)

    def test_a_program_that_does_not_start_is_said_with_its_last_words(self):
        self.start()
        self.settings(activate="restart")
        self.machine.write("/srv/shop.conf", "nonsense;\n")
        status, said = self.run_steps("activate")
        self.assertEqual(status, 1)
        self.assertIn("FAILED failed: ", said)
        self.assertIn('unknown directive "nonsense"', said)
        # Mended, the way back is gone.
        self.machine.write("/srv/shop.conf", NGINX)
        self.settings(activate="restart", contains="this is r1")
        self.assertEqual(self.run_steps("undo", "--exposed")[0], 0)
        self.assertEqual(self.fetch(), "this is r1")

    def test_units_that_cannot_be_activated_change_nothing(self):
        self.start()
        self.machine.run("systemctl", "mask", "--runtime", "other.service")
        for unit, reason in (("nothing.service", "there is no unit nothing.service"), ("other.service", "is masked")):
            self.settings(unit=unit)
            status, said = self.run_steps("activate")
            self.assertEqual(status, 1)
            self.assertIn(reason, said)
            self.assertEqual(self.current(), "releases/r1")

    def test_one_that_used_up_its_starts_is_started_all_the_same(self):
        """systemd refuses the start that a restart ends in, and would leave the service down."""
        self.unit("shop.service", "[Unit]\nStartLimitIntervalSec=1000\nStartLimitBurst=3\n" + UNIT)
        self.settings(activate="restart")
        self.start()
        for _ in range(2):
            self.machine.run("systemctl", "restart", "shop.service")
        status, said = self.run_steps("activate", "check")
        self.assertEqual(status, 0, said)
        self.assertEqual(self.fetch(), "this is r2")

    def seconds(self, *words):
        """How long it takes at best, and what it said last."""
        best = None
        for _ in range(6):
            began = time.monotonic()
            status, said = self.run_steps(*words)
            self.assertEqual(status, 0, said)
            best = min(best or 60, time.monotonic() - began)
        return best

    def test_one_that_listens_is_waited_for_no_longer(self):
        """A type that says nothing of being ready gets 300 ms to fail; who listens where it will be asked is through."""
        self.unit("shop.service", "[Unit]\nStartLimitIntervalSec=0\n" + UNIT)
        self.settings(activate="restart")
        self.start()
        self.assertLess(self.seconds("activate"), 0.3)
        # A port of nobody's: it may still read its configuration.
        self.settings(activate="restart", port=8099)
        self.assertGreaterEqual(self.seconds("activate"), 0.3)

    def test_one_that_gives_up_after_a_moment_is_no_activation(self):
        self.start()
        self.unit("shop.service", UNIT.replace("/usr/sbin/nginx", "/bin/sh -c 'sleep 0.15; exit 3' /usr/sbin/nginx"))  # SLEEPS
        self.settings(activate="restart")
        status, said = self.run_steps("activate")
        self.assertEqual(status, 1, said)
        self.assertRegex(said, "does not (run|stay up) after restart")

    def test_an_answer_of_another_unit_does_not_count(self):
        self.start()
        self.unit("sleeper.service", "[Service]\nExecStart=/bin/sleep 1000\n")
        self.settings(unit="sleeper.service", activate="restart")
        status, said = self.run_steps("activate", "check")
        self.assertEqual(status, 1, said)
        self.assertIn("port 8080 is shop.service's, not sleeper.service", said)

    def test_one_that_dies_while_it_is_asked_ends_the_check(self):
        self.start()
        self.settings(contains="never")
        self.unit("shop.service", UNIT + "RuntimeMaxSec=1\n")
        self.settings(activate="restart", contains="never")
        status, said = self.run_steps("activate", "check")
        self.assertEqual(status, 1)
        self.assertRegex(said, "runs no longer|health check failed")

    def test_a_bake_sees_what_happens(self):
        self.start()
        self.settings(bake='for = "1s"\ninterval = "200ms"')
        status, said = self.run_steps("activate", "check", "bake")
        self.assertEqual(status, 0, said)
        self.assertIn("all is well", said)
        self.settings(bake='for = "30s"\ninterval = "200ms"\nmax-memory = "1M"\nbreaches = 2')
        status, said = self.run_steps("bake")
        self.assertEqual(status, 1, said)
        self.assertIn("memory", said)

    def test_a_bake_sees_what_burns_the_processor(self):
        # A core, in a child: what the unit uses counts, not its main process. A busy host gives it less.
        self.machine.write("/srv/burn.sh", """#!/bin/bash
(read -r _ < /run/burn; while :; do :; done) &
exec /usr/sbin/nginx -c /srv/shop.conf -g 'daemon off;'
""", mode=0o755)
        self.machine.run("mkfifo", "/run/burn")
        self.unit("shop.service", UNIT.replace("/usr/sbin/nginx -c /srv/shop.conf -g 'daemon off;'", "/srv/burn.sh"))
        self.start()
        limits = 'interval = "200ms"\nmax-cpu = "2%"\nbreaches = 3\n'
        self.settings(contains="this is r1", bake='for = "2s"\n' + limits)
        status, said = self.run_steps("bake")
        self.assertEqual(status, 0, said)
        self.settings(contains="this is r1", bake='for = "60s"\n' + limits)
        started = self.machine.start(*STEPS, "bake", stdout=subprocess.PIPE, text=True)
        self.machine.run("bash", "-c", "echo > /run/burn")
        said, _ = started.communicate(timeout=60)
        self.assertEqual(started.returncode, 1, said)
        self.assertRegex(said, r"CPU \d+(\.\d+)?%, limit 2%")

    def test_a_bake_counts_errors_in_the_journal(self):
        self.machine.write("/srv/trouble.sh", """#!/bin/sh
trap 'echo "<3>it broke"' USR1
while :; do sleep 1000 & wait $!; done
""", mode=0o755)  # SLEEPS
        self.unit("trouble.service", "[Service]\nExecStart=/srv/trouble.sh\n")
        self.machine.run("systemctl", "start", "trouble.service")
        self.start()
        self.settings(unit="trouble.service", contains="this is r1", bake='for = "30s"\ninterval = "200ms"\nmax-errors = 0')
        started = self.machine.start(*STEPS, "bake", stdout=subprocess.PIPE, text=True)

        def is_noticed():
            # What it says before the bake has begun does not count.
            self.machine.run("systemctl", "kill", "-s", "USR1", "--kill-whom=main", "trouble.service")
            return started.poll() is not None

        wait_until(is_noticed, 40, "an end of the bake")
        said, _ = started.communicate(timeout=40)
        self.assertEqual(started.returncode, 1)
        self.assertRegex(said, r"[1-9]\d* journal entries of priority error since activation, limit 0")
        self.assertIn("> it broke", said)
