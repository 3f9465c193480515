"""What the tests rely on when they use fixture-service."""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess

from case import FixtureCase, PATIENCE, SERVICE, until


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

    def test_a_stream_comes_piece_by_piece_and_a_term_does_not_cut_it(self):
        process = self.start()
        with self.connect() as stream:
            stream.sendall(b"GET /stream?ms=500 HTTP/1.1\r\n\r\n")
            first = stream.recv(4096)
            process.terminate()
            pieces = [first, *iter(lambda: stream.recv(4096), b"")]
        self.assertGreater(len(pieces), 3)
        head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d\r\n" % len(body), head + b"\r\n")
        self.assertTrue(body.endswith(b"piece 5\n"), body)
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
