"""A mock of systemd as far as a supervisor notices it: keeps its descriptors, and starts it again when it was killed."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time

from kit import proc
from kit.notify import NotifySocket
from kit.supervisor import Supervisor, service

# Starts the program with the descriptors given as numbers on its command line from 3 on, as sd_listen_fds(3) says.
LAUNCHER = """
import os, sys
names, count = sys.argv[1], int(sys.argv[2])
given = [os.dup(int(number)) for number in sys.argv[3:3 + count]]
high = [__import__("fcntl").fcntl(each, __import__("fcntl").F_DUPFD, 700) for each in given]
for place, each in enumerate(high):
    os.dup2(each, 3 + place, inheritable=True)
for number in range(3 + count, 700):
    try:
        os.close(number)
    except OSError:
        pass
for each in high:
    os.close(each)
if count:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=names)
os.execv(sys.argv[3 + count], sys.argv[3 + count:])
"""


class Manager(NotifySocket):
    """Takes messages as they come, as systemd does: nobody who is killed has said something in vain."""

    def __init__(self, path):
        super().__init__(path)
        self.lock, self.ends = threading.RLock(), False
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def __exit__(self, *what):
        self.ends = True
        self.thread.join()
        super().__exit__(*what)

    def messages(self):
        with self.lock:
            return super().messages()

    def _listen(self):
        while not self.ends:
            if select.select([self.socket], [], [], 0.05)[0]:
                self.messages()


class Managed(Supervisor):
    """A batond under a manager with a descriptor store."""

    def __init__(self, of, notify, **options):
        super().__init__(of, **options)
        self.notify = notify
        self.environment["NOTIFY_SOCKET"] = notify.path
        self.starts = 0

    def stored(self, prefix=""):
        """The names in the store."""
        self.notify.messages()
        return [name for name, _ in self.notify.stored if name.startswith(prefix)]

    def start(self, **environment):
        """Starts it with what is in the store; `environment` is for this start alone."""
        self.notify.messages()
        stored = list(self.notify.stored)
        self.starts += 1
        if self.starts == 1:
            self.of.write()
        command = [
            "/usr/bin/python3", "-c", LAUNCHER, ":".join(name for name, _ in stored), str(len(stored)),
            *[str(number) for _, number in stored], *self.prefix, self.program, "--settings", str(self.of.file),
            "--runtime-directory", str(self.runtime), "--state-directory", str(self.state), *self.arguments,
        ]  # fmt: skip
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**self.environment, **environment},
                cwd="/", pass_fds=[number for _, number in stored], start_new_session=True,
            )  # fmt: skip
        return self

    def family(self):
        """Processes of this service beside batond itself, as a cgroup would have them."""
        home = str(self.of.folder)
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) not in (os.getpid(), self.pid):
                command = proc.command_line(entry)
                if any(home in part for part in command) and "fixture-load" not in command[0]:
                    found.append(int(entry))
        return found

    def clear(self):
        """What is left of a life is killed, as systemd kills what is left in the cgroup before it starts again."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            left = [pid for pid in self.family() if proc.alive(pid)]
            if not left:
                return
            for pid in left:
                proc.kill(pid)
        raise AssertionError(f"still there: {left}")

    def crash(self, number=signal.SIGKILL):
        """Ends it without notice, and what it started; the exit status."""
        proc.kill(self.pid, number)
        return self.fallen()

    def fallen(self, within=20):
        """Waits until it has ended by itself, and ends what it started; the exit status."""
        status = self.process.wait(within)
        self.clear()
        # What it said last has come through.
        self.notify.messages()
        return status

    def restart(self, **environment):
        """Started again, and waited for until it serves."""
        self.start(**environment)
        self.wait_serving()
        return self


@contextlib.contextmanager
def managed(change=None, environment=None, **options):
    """A service that serves under a manager. `environment` is for the first start alone."""
    with service() as made, Manager(made.folder / "notify") as manager:
        if change:
            change(made)
        supervisor = Managed(made, manager, **options)
        supervisor.start(**(environment or {}))
        try:
            supervisor.wait_serving()
            yield supervisor
            supervisor.end()
        except BaseException:
            supervisor.end()
            supervisor.clear()
            supervisor._show_log()
            raise
