"""fixture-load counts what happened: a tool that measures wrongly would make every other test agree with it."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading

from case import FixtureCase, SERVICE
from kit.load import Load
from kit.waiting import let_pass, wait_until


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

    def test_who_is_behind_the_schedule_reads_answers_all_the_same(self):
        self.start()
        # All are due at once. Without reading in between each of them would hold a descriptor.
        report = self.load("--rate", "1000000", "--requests", "15000", "--mode", "new", descriptors=8000)
        self.assertEqual((report["sent"], self.failures(report)), (15000, {}))

    def test_a_tally_on_the_way_counts_what_ended_and_what_waits(self):
        self.start()
        url = f"http://127.0.0.1:{self.port}/slow?ms=400"
        with Load(url, 20, "--mode", "new") as load:
            tally = wait_until(lambda: (t := load.tally())["oldest_ms"] >= 300 and t, 10, "requests that wait")
            self.assertGreater(tally["failures"]["unanswered"], 3)
            self.assertLess(tally["oldest_ms"], 2000)
            before = tally["sent"]
            self.kill_all()
            tally = wait_until(lambda: (t := load.tally())["failed"] and t, 10, "failures")
            self.assertGreaterEqual(tally["sent"], before)
        self.assertGreaterEqual(load.report.failed, tally["failed"])

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
        let_pass(0.4)  # this is what is measured
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
            let_pass(0.1)  # so much is measured in each phase
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
