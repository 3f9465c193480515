"""A Varlink client that adds nothing: JSON and NUL over a Unix stream socket (varlink.org)."""

import json
import socket


class VarlinkError(Exception):
    """The service answered with an error."""

    def __init__(self, error, parameters):
        super().__init__(f"{error} {json.dumps(parameters)}")
        self.error, self.parameters = error, parameters

    @property
    def name(self):
        """Without the interface in front."""
        return self.error.rpartition(".")[2]


class Closed(Exception):
    """The service hung up."""


class Connection:
    """One connection; `within` bounds each wait for an answer."""

    def __init__(self, path, within=10.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(within)
        try:
            self.socket.connect(str(path))
        except BaseException:
            self.socket.close()
            raise
        self.left = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, method, more=False, oneway=False, **parameters):
        message = {"method": method if "." in method else f"io.baton.Service.{method}", "parameters": parameters}
        if more:
            message["more"] = True
        if oneway:
            message["oneway"] = True
        self.socket.sendall(json.dumps(message).encode() + b"\0")

    def receive(self):
        """The next message as it came."""
        while b"\0" not in self.left:
            part = self.socket.recv(65536)
            if not part:
                raise Closed(f"hung up after {self.left[:200]!r}")
            self.left += part
        message, _, self.left = self.left.partition(b"\0")
        return json.loads(message)

    def answer(self):
        """The next message's parameters; an error answer raises."""
        message = self.receive()
        if "error" in message:
            raise VarlinkError(message["error"], message.get("parameters") or {})
        return message.get("parameters") or {}

    def call(self, method, **parameters):
        self.send(method, **parameters)
        return self.answer()

    def stream(self, method, **parameters):
        """Answers of a call with `more`, until the last."""
        self.send(method, more=True, **parameters)
        while True:
            message = self.receive()
            if "error" in message:
                raise VarlinkError(message["error"], message.get("parameters") or {})
            yield message.get("parameters") or {}
            if not message.get("continues"):
                return


def call(path, method, within=10.0, **parameters):
    """One question on a connection of its own."""
    with Connection(path, within) as connection:
        return connection.call(method, **parameters)
