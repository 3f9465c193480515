"""What the measures ask of every supervisor."""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time

from .stamps import Stamps, Stuck

PATIENCE = 60  # seconds until something counts as stuck


def free_port():
    """A port of the range kept for this; the subject binds it right afterwards."""
    for port in range(21000 + os.getpid() % 2000, 24999):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Stuck("no free port between 21000 and 24999")


class Subject:
    """One supervisor with its workers, in a directory of its own.

    `arguments` are fixture-service's; a subject that runs a program of its own makes it behave alike.
    """

    name = ""
    note = ""  # what differs from the others, for the table
    program = ""  # the command that must be there

    def __init__(self, tools, directory, workers, arguments=(), idle=False):
        self.tools, self.workers, self.idle = tools, workers, idle
        self.directory = os.path.join(directory, f"{self.name.replace(' ', '-')}-{workers}")
        os.makedirs(self.directory)
        self.stamps = Stamps(os.path.join(self.directory, "stamps"))
        self.arguments = ["--stamp-file", self.stamps.path, *arguments]
        if idle:
            self.arguments.append("--idle")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process = None
        self.log = open(os.path.join(self.directory, "log"), "ab")

    @classmethod
    def missing(cls):
        return None if shutil.which(cls.program) else cls.program

    # What a subject says of itself.

    def command(self):
        raise NotImplementedError

    def prepare(self):
        pass

    def ask_reload(self):
        """Begins a reload; returns when the subject's own verdict came (ns), or None when it gives none."""
        self.process.send_signal(signal.SIGHUP)

    def ask_stop(self):
        self.process.terminate()

    def make_service_directories(self):
        """services/worker-N/run for runit and s6: the program itself, so that no shell is measured."""
        homes = [os.path.join(self.directory, "services", f"worker-{number + 1}") for number in range(self.workers)]
        for home in homes:
            os.makedirs(home)
            os.symlink(self.tools.service, os.path.join(home, "run"))
        return homes

    def environment(self):
        """For programs that can be given no arguments: fixture-service takes FIXTURE_* as well."""
        variables, arguments = dict(os.environ), list(self.arguments)
        while arguments:
            name = "FIXTURE_" + arguments.pop(0)[2:].replace("-", "_").upper()
            variables[name] = arguments.pop(0) if arguments and not arguments[0].startswith("--") else "1"
        return variables

    # What the measures use.

    def spawn(self, command):
        return subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, cwd=self.directory,
                                env=self.environment(), process_group=0)

    def start(self):
        """Returns (asked, execs, readies) in ns; the workers are ready."""
        self.prepare()
        self.stamps.forget()
        asked = time.monotonic_ns()
        self.process = self.spawn(self.command())
        readies = self.stamps.wait("ready", self.workers, PATIENCE, f"start of {self.name}")
        return asked, [stamp.ns for stamp in self.stamps.of("exec")], [stamp.ns for stamp in readies]

    def reload(self):
        """Returns when it was asked, the last worker was ready, the verdict came (or None), the last old one was gone."""
        self.stamps.forget()
        asked = time.monotonic_ns()
        verdict = self.ask_reload()
        readies = self.stamps.wait("ready", self.workers, PATIENCE, f"reload of {self.name}")
        gone = self.stamps.wait("exit", self.workers, PATIENCE, f"reload of {self.name}")
        return asked, max(stamp.ns for stamp in readies), verdict, max(stamp.ns for stamp in gone)

    def stop(self):
        """Returns (asked, gone) in ns; gone: every worker, and every supervising process.

        Nothing is read before that, it would take part of the processors they stop with: the pipe holds what is said."""
        supervising = [os.pidfd_open(pid) for pid in self.pids()]
        self.stamps.forget()
        asked = time.monotonic_ns()
        self.ask_stop()
        # Popen.wait() with a limit looks from time to time, up to 50 ms apart.
        for pidfd in supervising:
            if not select.select([pidfd], [], [], PATIENCE)[0]:
                raise Stuck(f"stop of {self.name}: a supervising process is left")
            os.close(pidfd)
        ended = time.monotonic_ns()
        exits = self.stamps.wait("exit", self.workers, PATIENCE, f"stop of {self.name}")
        return asked, max(ended, *(stamp.ns for stamp in exits))

    def pids(self):
        """Of the supervising processes: everything below, but not the workers."""
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            if "fixture-service" in command_name(pid):
                continue
            found.append(pid)
            queue += children(pid)
        return found

    def clean_up(self):
        """Ends what is left, whatever state it is in."""
        if self.process is not None:
            for pid in [self.process.pid, *descendants(self.process.pid), *self.stragglers()]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.stamps.close()
        self.log.close()

    def stragglers(self):
        """Workers that outlived their supervisor."""
        self.stamps.read(0)
        ended = {stamp.pid for stamp in self.stamps.of("exit")}
        started = {stamp.pid for stamp in self.stamps.seen} - ended
        return [pid for pid in started if command_name(pid) == "fixture-service"]


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def command_name(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except (FileNotFoundError, ProcessLookupError):
        return ""
