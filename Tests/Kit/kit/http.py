"""HTTP/1.1 as a client of a service meets it: a new connection a request, or one kept alive."""

import dataclasses
import re
import socket


@dataclasses.dataclass
class Answer:
    """One answer; `release`, `generation`, `worker` and `pid` are what fixture-service says of itself."""

    status: int
    body: str
    closes: bool

    def _said(self, name):
        found = re.search(rf"\b{name}=(\S+)", self.body)
        return found[1] if found else None

    @property
    def release(self):
        return self.body.split(" ", 1)[0].strip()

    @property
    def generation(self):
        return int(self._said("gen"))

    @property
    def worker(self):
        return self._said("worker")

    @property
    def pid(self):
        return int(self._said("pid"))


class Client:
    """A connection. The address is a port of 127.0.0.1, a (host, port) pair, or the path of a Unix socket."""

    def __init__(self, address, within=10.0):
        if isinstance(address, int):
            address = ("127.0.0.1", address)
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout=within)
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(within)
            try:
                self.socket.connect(str(address))
            except BaseException:
                self.socket.close()
                raise
        self.left = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, path="/", keep=True):
        ending = "" if keep else "Connection: close\r\n"
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n{ending}\r\n".encode())

    def receive(self):
        head = self._until(b"\r\n\r\n").decode()
        status = int(head.split(" ", 2)[1])
        length = int(re.search(r"(?im)^content-length: *(\d+)", head)[1])
        while len(self.left) < length:
            self._more()
        body, self.left = self.left[:length], self.left[length:]
        return Answer(status, body.decode(errors="replace"), re.search(r"(?im)^connection: *close", head) is not None)

    def ask(self, path="/", keep=True):
        self.send(path, keep)
        return self.receive()

    def _until(self, mark):
        while mark not in self.left:
            self._more()
        head, _, self.left = self.left.partition(mark)
        return head

    def _more(self):
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionResetError(f"the server hung up after {self.left[:80]!r}")
        self.left += part


def ask(address, path="/", within=10.0):
    """One request on a connection of its own."""
    with Client(address, within) as client:
        return client.ask(path, keep=False)


def asks(address, count, path="/"):
    """As many requests, each on a new connection."""
    return [ask(address, path) for _ in range(count)]


def refuses(address):
    """Whether nobody listens there."""
    try:
        with Client(address):
            return False
    except ConnectionRefusedError:
        return True


def free_port(family=socket.AF_INET, kind=socket.SOCK_STREAM):
    """A port nobody has now. Bound to every address, so that nobody has it on another one either."""
    with socket.socket(family, kind) as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
