"""What the tests rely on when they use fixture-service and fixture-load."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

PROGRAMS = os.path.abspath(os.environ.get("FIXTURES", ".build/debug"))
SERVICE = os.path.join(PROGRAMS, "fixture-service")
LOAD = os.path.join(PROGRAMS, "fixture-load")
PATIENCE = 10  # seconds until a wait counts as failed


def until(condition, what):
    """Asks until it holds; the deadline is for a broken tool only."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE} s: {what}")
        time.sleep(0.005)
    return value


class FixtureCase(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="fixtures-"))
        self.listener = self.enterContext(socket.create_server(("127.0.0.1", 0), backlog=1024))
        self.port = self.listener.getsockname()[1]
        self.notifications = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.notifications.bind(os.path.join(self.directory, "notify"))
        self.notifications.settimeout(PATIENCE)
        self.processes = []
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()
        self.notifications.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.notifications.recv(4096):  # what they still said
                pass
        self.notifications.settimeout(PATIENCE)

    def start(self, *arguments, ready=True, pid=None, **environment):
        """A worker as a supervisor starts it: the listener as fd 3, LISTEN_PID its own."""
        variables = {"PATH": os.environ["PATH"], "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http",
                     "NOTIFY_SOCKET": self.notifications.getsockname(), **environment}
        high = fcntl.fcntl(self.listener, fcntl.F_DUPFD, 100)  # out of the way of 3
        script = f'exec 3<&{high} {high}<&-; LISTEN_PID={pid or "$$"} exec "$0" "$@"'
        with open(os.path.join(self.directory, "log"), "a") as log:
            process = subprocess.Popen(
                ["/bin/bash", "-c", script, SERVICE, *arguments], env=variables, process_group=0,
                pass_fds=[high], stderr=log)
        os.close(high)
        self.processes.append(process)
        if ready:
            self.assertIn("READY=1", self.notification())
        return process

    def notification(self):
        return self.notifications.recv(4096).decode().split("\n")

    def log(self):
        with open(os.path.join(self.directory, "log")) as file:
            return file.read()

    def connect(self):
        return contextlib.closing(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE))

    def ask(self, path="/", *headers):
        """Status line and body, on a connection of its own."""
        with self.connect() as client:
            client.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode())
            head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
            return head.split(b"\r\n")[0].decode(), body.decode()

    def load(self, *arguments, url=None, wait=True):
        process = subprocess.Popen(
            [LOAD, "--url", url or f"http://127.0.0.1:{self.port}/", "--json", *arguments],
            stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return self.report(process) if wait else process

    def report(self, process):
        report = json.loads(process.communicate(timeout=60)[0])
        self.assertEqual(process.returncode, 1 if report["failed"] else 0)
        return report


class ServiceTests(FixtureCase):
    def test_sockets_meant_for_another_process_are_refused_loudly(self):
        self.assertEqual(self.start(ready=False, pid="1").wait(PATIENCE), 86)
        self.assertIn("LISTEN_PID=1 is not this process", self.log())

    def test_without_sockets_it_does_not_start(self):
        done = subprocess.run([SERVICE], env={}, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 86)
        self.assertIn("no sockets", done.stderr)

    def test_what_it_tells_the_supervisor_in_order(self):
        process = self.start("--version-text", "v1", ready=False, WATCHDOG_USEC="40000")
        self.assertEqual(self.notification(), ["READY=1", "STATUS=serving v1"])
        self.assertEqual([self.notification() for _ in range(3)], [["WATCHDOG=1"]] * 3)
        process.terminate()
        until(lambda: self.notification()[0] == "STOPPING=1", "STOPPING=1")
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_answers(self):
        self.start("--version-text", "v7", BATON_GENERATION="3", BATON_WORKER="web.2", SECRET="text")
        self.assertRegex(self.ask()[1], r"^v7 gen=3 worker=web\.2 pid=\d+\n$")
        self.assertEqual(self.ask("/health"), ("HTTP/1.1 200 OK", "ok v7\n"))
        self.assertEqual(self.ask("/env?SECRET")[1], "text")
        self.assertEqual(self.ask("/nothing")[0], "HTTP/1.1 404 Not Found")
        with self.connect() as client:  # pipelined, in pieces, in order
            requests = b"".join(b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\n%03d" % n for n in range(500))
            for at in range(0, len(requests), 1000):
                client.sendall(requests[at:at + 1000])
            client.shutdown(socket.SHUT_WR)
            answers = client.makefile("rb").read().split(b"HTTP/1.1 200 OK")[1:]
            self.assertEqual([answer[-3:] for answer in answers], [b"%03d" % n for n in range(500)])

    def test_counts_tell_clients_from_probes(self):
        counts = os.path.join(self.directory, "counts")
        workers = [self.start("--count-file", counts) for _ in range(2)]
        for _ in range(3):
            self.ask("/")
        self.ask("/health")
        self.ask("/health", "User-Agent: baton-probe")
        self.ask("/", "User-Agent: baton-probe/1")
        for worker in workers:
            worker.terminate()
            worker.wait(PATIENCE)
        shown = json.loads(subprocess.check_output([SERVICE, "--show-counts", counts]))
        self.assertEqual(shown, {"clients": 3, "health": 1, "probes": 2, "connections": 6, "datagrams": 0, "starts": 2})
        with open(counts, "rb") as file:
            self.assertEqual(struct.unpack("8s6Q", file.read()), (b"FIXCOUNT", 3, 1, 2, 6, 0, 2))

    def test_at_term_what_is_in_flight_is_answered_and_idle_connections_are_told(self):
        process = self.start()
        with self.connect() as slow, self.connect() as idle, self.connect() as silent:
            idle.sendall(b"GET / HTTP/1.1\r\n\r\n")
            self.assertNotIn(b"Connection: close", idle.recv(4096))
            slow.sendall(b"GET /slow?ms=300 HTTP/1.1\r\n\r\n")
            self.ask()
            process.terminate()
            self.assertEqual(self.notification()[0], "STOPPING=1")
            idle.sendall(b"GET / HTTP/1.1\r\n\r\n")
            self.assertIn(b"Connection: close", idle.makefile("rb").read())
            self.assertIn(b"Connection: close", slow.makefile("rb").read())
            self.assertEqual(silent.recv(1), b"")  # after the grace
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_workers_come_and_go_on_one_listener_and_its_flag_stays(self):
        for nonblocking in (False, True):
            with self.subTest(nonblocking=nonblocking):
                self.listener.setblocking(not nonblocking)
                flags = fcntl.fcntl(self.listener, fcntl.F_GETFL)
                workers = [self.start() for _ in range(3)]
                load = self.load("--rate", "1000", "--control", wait=False)
                for _ in range(60):
                    workers.append(self.start())
                    old = workers.pop(0)
                    old.terminate()
                    self.assertEqual(self.notification()[0], "STOPPING=1")
                    self.assertEqual(old.wait(PATIENCE), 0)
                report = self.report(load)
                self.assertEqual(report["failures"], dict.fromkeys(report["failures"], 0))
                self.assertGreater(report["sent"], 100)
                self.assertEqual(fcntl.fcntl(self.listener, fcntl.F_GETFL), flags)
                self.kill_all()

    def test_an_event_loop_hangs_when_somebody_makes_its_listener_blocking(self):
        self.listener.setblocking(False)
        self.start("--accept", "epoll-nonblocking")
        self.assertEqual(self.ask()[0], "HTTP/1.1 200 OK")
        self.listener.setblocking(True)
        with self.connect() as client:
            client.settimeout(0.5)
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            self.assertRaises(TimeoutError, client.recv, 1)

    def test_it_reports_what_it_inherited(self):
        report = os.path.join(self.directory, "report.json")
        process = self.start("--report-process", report, "--idle", BATON_WORKER="web.1")
        with open(report) as file:
            seen = json.load(file)
        self.assertEqual(set(seen["descriptors"]), {"0", "1", "2", "3"})
        self.assertRegex(seen["descriptors"]["3"], "^socket:")
        self.assertEqual((seen["LISTEN_PID"], seen["pid"], seen["pgid"]), (str(process.pid), process.pid, process.pid))
        self.assertEqual(seen["environment"]["BATON_WORKER"], "web.1")
        self.assertEqual(seen["status"]["SigBlk"], "0" * 16)

    def test_strict_names_what_a_careless_supervisor_left(self):
        os.dup2(0, 77)
        self.addCleanup(os.close, 77)
        def careless():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        done = subprocess.run([SERVICE, "--strict", "--idle"], env={}, pass_fds=[77], preexec_fn=careless,
                              restore_signals=True, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 86)
        for wrong in ("fd 77", f"signal {int(signal.SIGTERM)} is blocked", f"signal {int(signal.SIGUSR1)} is ignored"):
            self.assertIn(wrong, done.stderr)

    def test_datagrams(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            tcp, self.listener = self.listener, server
            process = self.start("--version-text", "v2")
            self.listener = tcp
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(PATIENCE)
                client.sendto(b"hello", server.getsockname())
                self.assertRegex(client.recv(512), rb"^v2 gen=- worker=- pid=\d+ hello$")
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)


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


class LoadTests(FixtureCase):
    def serve(self, answer):
        """A server of one thread a connection, which does `answer(connection, number of the request)`."""
        def connection(client):
            with client, contextlib.suppress(OSError):
                for number in range(1000):
                    if not client.recv(4096) or answer(client, number):
                        return
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=connection, args=[self.listener.accept()[0]], daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        def stop():
            with contextlib.suppress(OSError):  # it may not listen any more
                self.listener.shutdown(socket.SHUT_RDWR)
        self.addCleanup(stop)

    def failures(self, report):
        return {kind: count for kind, count in report["failures"].items() if count}

    def test_it_asks_as_often_as_it_says(self):
        counts = os.path.join(self.directory, "counts")
        self.start("--version-text", "v1", "--count-file", counts)
        report = self.load("--rate", "2000", "--duration", "1", "--expect-body", "v1")
        self.assertEqual((report["sent"], report["ok"], report["versions"]), (2000, 2000, {"v1": 2000}))
        self.assertEqual([report["latency_us"][mode]["count"] for mode in ("new", "keepalive", "both")], [1000, 1000, 2000])
        self.assertEqual(sum(count for _, count in report["latency_us"]["both"]["buckets"]), 2000)
        self.assertEqual(json.loads(subprocess.check_output([SERVICE, "--show-counts", counts]))["clients"], 2000)
        self.assertAlmostEqual(report["seconds"], 1, delta=0.5)

    def test_each_failure_by_its_kind(self):
        def reset(client, _):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return True
        kinds = {
            "reset": reset,
            "closed-before-answer": lambda client, _: True,
            "cut-in-answer": lambda client, _: client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") or True,
            "wrong-status": lambda client, _: client.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
            "wrong-body": lambda client, _: client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
            "malformed": lambda client, _: client.sendall(b"220 smtp ready, what is it?\r\n\r\n"),
            "timeout": lambda client, _: None,
        }
        now = []
        self.serve(lambda client, number: now[0](client, number))
        for kind, answer in kinds.items():
            with self.subTest(kind=kind):
                now[:] = [answer]
                report = self.load("--rate", "200", "--requests", "20", "--timeout", "0.4", "--expect-body", "yes")
                self.assertEqual(self.failures(report), {kind: 20})
        self.listener.shutdown(socket.SHUT_RDWR)
        with self.subTest(kind="refused"):
            self.assertEqual(self.failures(self.load("--rate", "200", "--requests", "20")), {"refused": 20})

    def test_a_connection_closed_between_requests_is_no_failure(self):
        good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
        self.serve(lambda client, number: client.sendall(good) or number == 1)  # closes after two, without a word
        report = self.load("--mode", "keepalive", "--connections", "1", "--rate", "50", "--requests", "20")
        self.assertEqual((report["failed"], report["connections"]["opened"]), (0, 10))

    def test_a_standstill_shows_in_every_request_that_was_due(self):
        process = self.start()
        load = self.load("--rate", "500", "--control", "--mode", "both", wait=False)
        self.ask()
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.4)  # this is what is measured
        os.kill(process.pid, signal.SIGCONT)
        report = self.report(load)
        self.assertEqual(report["failed"], 0)
        self.assertGreater(report["latency_us"]["both"]["p90"], 200_000)
        self.assertGreater(report["sent"], 150)

    def test_phases_and_timeline(self):
        self.start()
        timeline = os.path.join(self.directory, "timeline")
        load = self.load("--rate", "1000", "--control", "--timeline", timeline, wait=False)
        for command in ("mark one", "mark two", "mark one", "pause", "resume"):
            load.stdin.write(f"{command}\n")
            load.stdin.flush()
            time.sleep(0.1)
        load.send_signal(signal.SIGTERM)
        report = self.report(load)
        self.assertEqual(report["ended_by"], "a signal")
        self.assertEqual([phase["name"] for phase in report["phases"]], ["start", "one", "two"])
        self.assertLess(report["sent"], (report["seconds"] - 0.08) * 1000)  # nothing was due in the pause
        self.assertEqual(sum(phase["sent"] for phase in report["phases"]), report["sent"])
        with open(timeline) as file:
            rows = [line.strip().split(",") for line in file]
        self.assertEqual(sum(int(row[1]) for row in rows[1:]), report["sent"])
        self.assertEqual(sum(int(row[2]) for row in rows[1:]), report["ok"])

    def test_unix_sockets_with_a_short_queue(self):
        path = os.path.join(self.directory, "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            tcp, self.listener = self.listener, listener
            self.start()
            self.listener = tcp
            report = self.load("--rate", "2000", "--requests", "1000", url=f"unix:{path}:/health")
            self.assertEqual((report["ok"], report["failed"]), (1000, 0))


if __name__ == "__main__":
    unittest.main()
