"""Where work under a lease has its effects: refuses late tokens, numbers messages, and writes down all it is asked.

Engines talk in lines. `effect HOST TOKEN EXPIRES MESSAGE` is answered by `taken` or `refused`; `done TOKEN MESSAGE` by the
number of the message that is due next. One thread answers: what it compares and what it writes is one step.
"""

import json
import selectors
import socket
import threading
import time


def now():
    """Seconds of CLOCK_BOOTTIME: the clock of leases, and the same one in each lab machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Sink:
    """Writes to `path`, a JSON object a line. What the harness does is noted there too, so that the log says all."""

    def __init__(self, path):
        self.path = path
        self.log = open(path, "a", buffering=1)
        self.lock = threading.Lock()
        self.fence, self.due = 0, 0
        self.effects = self.refused = 0
        # The last effect taken: when, whose, with which token.
        self.last = None
        # Until when it was proven.
        self.proven = 0.0
        self.selector = selectors.DefaultSelector()
        threading.Thread(target=self._serve, daemon=True).start()

    def note(self, what, **facts):
        """One line of the log; returns its time."""
        with self.lock:
            return self._write(what, facts)

    def _write(self, what, facts):
        at = now()
        self.log.write(json.dumps({"at": round(at, 6), "what": what, **facts}) + "\n")
        return at

    def serve(self, listener):
        """Takes engines that come there, too."""
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, None)

    def _serve(self):
        while True:
            for key, _ in self.selector.select(0.2):
                try:
                    if key.data is None:
                        peer, _ = key.fileobj.accept()
                        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        self.selector.register(peer, selectors.EVENT_READ, bytearray())
                    else:
                        self._read(key.fileobj, key.data)
                except OSError:
                    self._drop(key.fileobj)

    def _drop(self, peer):
        self.selector.unregister(peer)
        peer.close()

    def _read(self, peer, buffer):
        data = peer.recv(4096)
        if not data:
            return self._drop(peer)
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = buffer[:end].decode()
            del buffer[: end + 1]
            peer.sendall(self._answer(line.split()).encode() + b"\n")

    def _answer(self, words):
        with self.lock:
            if words[0] == "done":
                token, message = map(int, words[1:])
                # Fenced like the effect: a late one moves nothing.
                if token >= self.fence and message == self.due:
                    self.due += 1
                    self._write("done", {"message": message})
                return str(self.due)
            host, token, message = words[1], int(words[2]), int(words[4])
            taken = token >= self.fence
            facts = {"host": host, "token": token, "expires": float(words[3]), "message": message, "taken": taken}
            at = self._write("effect", facts)
            if taken:
                self.fence = token
                self.effects += 1
                self.last = (at, host, token)
                self.proven = facts["expires"]
            else:
                self.refused += 1
            return "taken" if taken else "refused"
