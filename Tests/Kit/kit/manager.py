"""A mock of systemd as far as a supervisor notices it: keeps its descriptors, and starts it again when it was killed."""

import contextlib
import ctypes
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time

from kit import http, proc
from kit.notify import NotifySocket
from kit.supervisor import Supervisor, service
from kit.waiting import wait_until

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
def managed(change=None, start_environment=None, keeps=True, **options):
    """A service that serves under a manager. `start_environment` is for the first start alone."""
    with service() as made, Manager(made.folder / "notify") as manager:
        manager.keeps = keeps
        if change:
            change(made)
        supervisor = Managed(made, manager, **options)
        supervisor.start(**(start_environment or {}))
        try:
            supervisor.wait_serving()
            yield supervisor
            supervisor.end()
            supervisor.clear()
        except BaseException:
            supervisor.end()
            supervisor.clear()
            supervisor._show_log()
            raise


SO_ATTACH_REUSEPORT_CBPF = 51


class Client:
    """A request that is made while nobody is there to take it."""

    def __init__(self, target, path="/"):
        family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(target if isinstance(target, str) else ("127.0.0.1", target))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    def status(self):
        """Of the answer, or why there is none."""
        try:
            answer = b""
            while more := self.socket.recv(65536):
                answer += more
            return int(answer.split()[1]) if answer else "closed without an answer"
        except OSError as error:
            return f"{type(error).__name__} {error}"
        finally:
            self.socket.close()


class Datagram:
    """A datagram that is sent while nobody is there to read it; the fixture sends it back, with its generation."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        self.socket.send(b"waits")

    def answer(self):
        with self.socket:
            return self.socket.recv(1000)

    def status(self):
        """200, or why there is no answer."""
        try:
            return 200 if self.answer().endswith(b" waits") else "another answer"
        except OSError as error:
            return f"{type(error).__name__} {error}"

    @classmethod
    def generation(cls, port):
        """Of the worker that answers one."""
        return int(cls(port).answer().split(b"gen=")[1].split()[0])


def ask(supervisor, name, port):
    """A client of this socket."""
    return (Datagram if name in datagrams(supervisor) else Client)(port)


def stored(supervisor, name):
    """Stored descriptors of a socket that listen, or that take datagrams."""
    supervisor.notify.messages()
    found = []
    for each, number in supervisor.notify.stored:
        if each.startswith(name + "."):
            copy = socket.socket(fileno=os.dup(number))
            if copy.type == socket.SOCK_DGRAM or copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.append(copy)
            else:
                copy.close()
    return found


def fill(supervisor, name, port, each=3):
    """Clients in the queue of every listener of an address, whatever the kernel was told; the clients."""
    copies = stored(supervisor, name)
    clients = []
    for place in range(len(copies)):
        if len(copies) > 1:
            code = struct.pack("HBBI", 0x06, 0, 0, place)
            buffer = ctypes.create_string_buffer(code)
            program = struct.pack("HL", 1, ctypes.addressof(buffer))
            copies[0].setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
        clients += [ask(supervisor, name, port) for _ in range(each)]
    for copy in copies:
        copy.close()
    return clients


def check_served(test, supervisor, clients):
    test.assertEqual({client.status() for client in clients}, {200})
    # One listener a socket is left once everything was taken.
    wait_until(
        lambda: sorted(each.rpartition(".")[0] for each in supervisor.stored() if "." in each)
        == sorted(supervisor.of.sockets), 20, lambda: f"one listener a socket: {supervisor.stored()}",
    )  # fmt: skip
    wait_until(lambda: supervisor.status()["state"] == "serving", 10)


def with_sockets(*names, udp=()):
    """For `managed`: an engine of one worker behind these, with COLOUR=blue in its environment. It takes connections in
    the loop that counts and answers them: one that is killed has counted all it took. Those of `udp` take datagrams."""

    def change(made):
        for name in names:
            if name not in made.sockets:
                made.sockets[name] = {"listen": f"127.0.0.1:{http.free_port()}"}
            made.sockets[name]["nonblocking"] = True
        for name in udp:
            made.sockets[name] = {"listen": f"udp:127.0.0.1:{http.free_port(kind=socket.SOCK_DGRAM)}"}
        made.environment.update(COLOUR="blue")
        made.engines["web"] = made.web("--accept", "epoll-nonblocking", sockets=[*names, *udp], workers=1)

    return change


def untaken(supervisor, load):
    """How many of the clients of a load no worker has taken; less than none where others connected as well."""
    counts = supervisor.of.counts()
    return load.report.sent - (counts["connections"] - counts["probes"] - counts["health"])


def ports(supervisor):
    """The port of each socket."""
    return {name: int(entry["listen"].rpartition(":")[2]) for name, entry in supervisor.of.sockets.items()}


def datagrams(supervisor):
    """The port of each socket that takes datagrams."""
    sockets = supervisor.of.sockets
    return {name: port for name, port in ports(supervisor).items() if sockets[name]["listen"].startswith("udp:")}
