"""A link from one lab machine to a store outside of it, which can be cut, refused, slowed down, or answer nonsense."""

import contextlib
import ctypes
import os
import selectors
import socket
import threading

from kit.waiting import let_pass

CLONE_NEWNET = 0x40000000
# What other servers say, and what none says.
NONSENSE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"220 mail ESMTP ready\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
    b"+OK\r\n", b"$999999999999\r\n", b"*-7\r\n", b":1\r\n:2\r\n:3\r\n", b"\0" * 64, bytes(range(256)), b"E\0\0\0\5x", b"",
)  # fmt: skip


@contextlib.contextmanager
def network_of(pid):
    """The calling thread is in that process's network meanwhile: what it opens belongs there."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(descriptor):
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(other)
        yield
    finally:
        enter(own)
        os.close(own)
        os.close(other)


def listen_in(pid, port, backlog=16):
    """A socket of that machine's loopback; of this process's own where `pid` is None. Port 0: any that is free."""
    with network_of(pid) if pid else contextlib.nullcontext():
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(backlog)
        return listener


class Link:
    """127.0.0.1:`port` of the machine leads to what `connect` opens."""

    def __init__(self, pid, port, connect):
        self.pid, self.port, self.connect = pid, port, connect
        self.passes = threading.Event()
        self.delay, self.nonsense = 0.0, None
        self.sockets = set()
        self.listener = None
        self.mend()

    # What can happen to it

    def cut(self):
        """Silence: what is open stays open and says nothing, and soon nothing new is opened either."""
        self.passes.clear()

    def refuse(self):
        """What is open is reset, and nobody listens."""
        self._hang_up()
        self.listener.close()
        self.listener = None

    def babble(self, nonsense):
        """Something else answers there."""
        self.nonsense = nonsense
        self._hang_up()

    def slow(self, seconds):
        """So long on the way, to and fro."""
        self.delay = seconds

    def mend(self):
        """As it should be. What waited in a cut link arrives late."""
        self.delay = 0.0
        if self.nonsense is not None:
            self.nonsense = None
            self._hang_up()
        self.passes.set()
        if self.listener is None:
            # Hardly a queue: once a cut link's is full, who connects gets no answer at all.
            self.listener = listen_in(self.pid, self.port, backlog=1)
            self.port = self.listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        self.passes.set()
        if self.listener:
            self.refuse()

    # How it carries

    def _hang_up(self):
        for each in list(self.sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener):
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while True:
                try:
                    # A closed one wakes nobody.
                    if not selector.select(0.05):
                        if listener.fileno() < 0:
                            return
                        continue
                    self.passes.wait()
                    peer, _ = listener.accept()
                except (OSError, ValueError):
                    return
                threading.Thread(target=self._join, args=(peer,), daemon=True).start()

    def _join(self, peer):
        self.sockets.add(peer)
        try:
            if self.nonsense is not None:
                return self._answer_nonsense(peer)
            server = self.connect()
        except OSError:
            return self._end(peer)
        self.sockets.add(server)
        threading.Thread(target=self._carry, args=(server, peer), daemon=True).start()
        self._carry(peer, server)

    def _answer_nonsense(self, peer):
        with contextlib.suppress(OSError):
            while self.nonsense:
                peer.sendall(self.nonsense)
                if not peer.recv(65536):
                    break
        self._end(peer)

    def _carry(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.delay:
                    let_pass(self.delay)
                self.passes.wait()
                target.sendall(data)
        self._end(source, target)

    def _end(self, *sockets):
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            self.sockets.discard(each)
