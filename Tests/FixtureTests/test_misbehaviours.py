"""Each misbehaviour of fixture-service is the one its name says."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess

from case import FixtureCase, PATIENCE, SERVICE, until


class MisbehaviourTests(FixtureCase):
    def misbehave(self, name, **options):
        return self.start("--misbehave", name, **options)

    def assertStays(self, process):
        process.terminate()
        self.assertEqual(self.ask()[0], "HTTP/1.1 200 OK")
        self.assertIsNone(process.poll())

    def state(self, pid):
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def test_every_misbehaviour_is_tested_here(self):
        listed = {line.split()[0] for line in subprocess.check_output([SERVICE, "--list"], text=True).splitlines()}
        with open(__file__) as file:
            source = file.read()
        self.assertEqual({name for name in listed if f'"{name}' not in source}, set())

    def test_ends(self):
        for name, ready, status in [
                ("exits-at-start", False, 3), ("exits-at-start=9", False, 9), ("dies-after-ready=1", True, 4),
                ("exits-zero=1", True, 0), ("crash-loop", True, -signal.SIGSEGV)]:
            with self.subTest(name=name):
                self.assertEqual(self.misbehave(name, ready=ready).wait(PATIENCE), status)

    def test_by_the_name_of_a_link_and_by_environment(self):
        link = os.path.join(self.directory, "exits-at-start")
        os.symlink(SERVICE, link)
        self.assertEqual(subprocess.run([link, "--idle"], env={}, stderr=subprocess.DEVNULL).returncode, 3)
        variables = {"FIXTURE_MISBEHAVE": "exits-at-start=7", "FIXTURE_IDLE": "1"}
        self.assertEqual(subprocess.run([SERVICE], env=variables, stderr=subprocess.DEVNULL).returncode, 7)

    def test_dies_in_trial_at_its_clients_only(self):
        process = self.misbehave("dies-in-trial=3")
        for _ in range(5):
            self.ask("/health")
        self.ask(), self.ask()
        self.assertIsNone(process.poll())
        self.ask()
        self.assertEqual(process.wait(PATIENCE), 5)

    def test_never_ready_serves_all_the_same(self):
        self.misbehave("never-ready", ready=False)
        self.assertEqual(self.ask()[0], "HTTP/1.1 200 OK")
        self.notifications.setblocking(False)
        self.assertRaises(BlockingIOError, self.notification)

    def test_wrong_answers(self):
        self.misbehave("answers-500")
        self.assertEqual(self.ask("/health")[0], "HTTP/1.1 500 Internal Server Error")
        self.kill_all()
        self.misbehave("wrong-body")
        self.assertEqual(self.ask(), ("HTTP/1.1 200 OK", "unexpected unversioned\n"))

    def test_deaf_to_term(self):
        self.assertStays(self.misbehave("ignores-term"))
        self.kill_all()
        self.assertStays(self.misbehave("blocks-term-in-mask"))

    def test_a_supervisor_that_starts_it_with_term_blocked_cannot_stop_it(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            process = self.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self.assertStays(process)

    def test_stops_itself(self):
        process = self.misbehave("stops-itself")
        until(lambda: self.state(process.pid) == "T", "stopped")

    def test_children_that_stay(self):
        for name, same_group in (("forks-away", False), ("forks-child-same-group", True)):
            with self.subTest(name=name):
                process = self.misbehave(name)
                line = until(lambda: next((l for l in self.log().splitlines() if "here to stay" in l), None), "a child")
                child = int(line.split("[")[1].split("]")[0])
                self.addCleanup(self.kill, child)
                process.terminate()
                self.assertEqual(process.wait(PATIENCE), 0)
                self.assertEqual(self.state(child), "S")
                self.assertEqual(os.getpgid(child) == process.pid, same_group)
                self.assertTrue(os.readlink(f"/proc/{child}/fd/3").startswith("socket:"))
                self.kill(child)
                self.kill_all()
                os.truncate(os.path.join(self.directory, "log"), 0)

    def kill(self, pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def test_floods(self):
        self.misbehave("floods-log=20000")
        until(lambda: self.log().count("flood ") == 20000, "20000 lines")
        self.kill_all()
        self.misbehave("floods-notify")
        for _ in range(5000):
            self.assertIn("STATUS=flood", self.notification()[0])

    def test_claims_other_pid(self):
        self.misbehave("claims-other-pid", ready=False)
        self.assertIn("MAINPID=1", self.notification())
        self.kill_all()
        self.misbehave("claims-other-pid=child", ready=False)
        self.assertIn("STATUS=said by a child", self.notification())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(os.path.join(self.directory, "other"))
            other.settimeout(PATIENCE)
            self.misbehave(f"claims-other-pid={other.getsockname()}")
            self.assertIn(b"READY=1", other.recv(4096))

    def test_silent_watchdogs(self):
        for name in ("no-watchdog", "spins"):
            with self.subTest(name=name):
                self.misbehave(name, WATCHDOG_USEC="20000")
                self.notifications.settimeout(0.2)
                with self.assertRaises(TimeoutError):
                    for _ in range(2):  # spins pings once, right after ready
                        self.notification()
                self.notifications.settimeout(PATIENCE)
                self.kill_all()

    def test_closes_listener_for_everybody(self):
        self.misbehave("closes-listener")
        def refused():
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", self.port)) != 0
        until(refused, "refused")

    def test_toggles_nonblock(self):
        self.misbehave("toggles-nonblock=5")
        for wanted in (os.O_NONBLOCK, 0, os.O_NONBLOCK):
            until(lambda: fcntl.fcntl(self.listener, fcntl.F_GETFL) & os.O_NONBLOCK == wanted, "the flag flips")

    def test_grows_memory(self):
        process = self.misbehave("grows-memory=200")
        def resident():
            with open(f"/proc/{process.pid}/statm") as file:
                return int(file.read().split()[1]) * 4096
        until(lambda: resident() > 60 << 20, "60 MB")

    def test_hangs_accept(self):
        self.misbehave("hangs-accept")
        with self.connect() as client:
            client.settimeout(0.2)
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            self.assertRaises(TimeoutError, client.recv, 1)
