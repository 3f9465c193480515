"""batond is killed under load, with its sockets kept as systemd keeps them: how long until somebody answers again."""

import os
import select
import signal
import socket
import subprocess
import sys
import time

from ..bench import ROOT
from ..figures import Figure, milliseconds
from ..load import Load
from ..report import Measure, Target
from ..stamps import Stuck
from ..subject import PATIENCE, command_name
from ..subjects import Batond

sys.path.insert(0, os.path.join(ROOT, "Tests", "Kit"))
from kit.manager import LAUNCHER, Manager  # noqa: E402

WORKERS, RATE, RESTART_DELAY_S, PAUSE_S = 8, 2_000, 0.1, 0.5


class Kept(Batond):
    """batond under a mock of systemd: its sockets are kept, and it is started again 100 ms after it was killed."""

    note = "kept by a mock of systemd, RestartSec=100ms"

    def prepare(self):
        super().prepare()
        self.manager = Manager(os.path.join(self.directory, "notify"))

    def environment(self):
        return {**super().environment(), "NOTIFY_SOCKET": self.manager.path}

    def spawn(self, command):
        self.manager.messages()
        stored = list(self.manager.stored)
        launcher = [sys.executable, "-S", "-c", LAUNCHER, ":".join(name for name, _ in stored), str(len(stored)),
                    *[str(number) for _, number in stored]]
        return subprocess.Popen(
            [*launcher, *command], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, cwd=self.directory,
            env=self.environment(), process_group=0, pass_fds=[number for _, number in stored])

    def crash(self):
        """Killed with all its workers and started again: (killed, started), in ns."""
        workers = self.live_workers()
        killed = time.monotonic_ns()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        pidfds = [os.pidfd_open(pid) for pid in workers]
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        for pidfd in pidfds:
            select.select([pidfd], [], [], PATIENCE)
            os.close(pidfd)
        self.stamps.forget()
        time.sleep(RESTART_DELAY_S)
        started = time.monotonic_ns()
        self.process = self.spawn(self.command())
        return killed, started

    def live_workers(self):
        engine = self.call("io.baton.Service.Status")["parameters"]["engines"][0]
        return [worker["pid"] for worker in engine["workers"] if command_name(worker["pid"])]

    def clean_up(self):
        super().clean_up()
        self.manager.__exit__()


def crash(bench):
    measure = Measure(
        "crash", f"batond killed with its {WORKERS} workers under {RATE} new connections/s, started again after "
        f"{RESTART_DELAY_S * 1000:.0f} ms as by systemd",
        [Target("refused", 0), Target("beyond delay and worker start", 100, "ms"), Target("queue drops", 0)])
    with bench.running(measure, [Kept], WORKERS, ["--version-text", "v1"]) as subjects:
        for subject in subjects:
            measure_one(bench, measure, subject)
    return measure


def measure_one(bench, measure, subject):
    load = Load(bench.tools, subject.url, RATE, mode="new", timeout=20)
    served, beyond, starts = [], [], []
    for turn in range(bench.times(20, 6)):
        bench.say(f"crash {turn + 1}")
        time.sleep(PAUSE_S)
        wait_until_serving(subject)
        killed, started = subject.crash()
        answered = first_answer(subject.port)
        readies = subject.stamps.wait("ready", WORKERS, PATIENCE, "the workers after a crash")
        start = max(stamp.ns for stamp in readies) - min(stamp.ns for stamp in subject.stamps.of("exec"))
        served.append(milliseconds(answered - killed))
        starts.append(milliseconds(start))
        # What systemd does until it starts batond again is no part of it.
        beyond.append(milliseconds(answered - started - start))
    report = load.report()
    failures = report["failures"]
    measure.set(subject, "killed → answered", Figure(served))
    measure.set(subject, "worker start", Figure(starts))
    measure.set(subject, "beyond delay and worker start", Figure(beyond))
    measure.set(subject, "requests", report["sent"])
    measure.set(subject, "refused", failures.get("refused", 0))
    measure.set(subject, "cut", report["failed"])
    measure.set(subject, "queue drops", report["kernel"]["ListenDrops"])


def first_answer(port):
    """When a request that was made while nobody was there is answered."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        if not client.recv(64):
            raise Stuck("a connection was closed without an answer")
        return time.monotonic_ns()


def wait_until_serving(subject):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if subject.call("io.baton.Service.Status")["parameters"]["state"] == "serving":
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise Stuck("batond does not serve")
