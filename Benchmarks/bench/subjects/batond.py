import json
import os
import socket
import tempfile
import time

from ..stamps import Stuck
from ..subject import PATIENCE, Subject

SETTINGS = """
[service]
description = "benchmark"
{user}
directory   = {directory}

{sockets}
[engine.web]
command       = {command}
workers       = {workers}
{engine}
ready         = "notify"
start-timeout = {start_timeout}
stop-timeout  = "10s"
restart       = {{ delay = "100ms", max-delay = "1s", give-up-after = 1000, healthy-after = "500ms" }}
"""

SOCKETS = """
[socket.http]
listen  = "127.0.0.1:{port}"
backlog = 4096
"""

ENGINE = """
sockets       = ["http"]
prove         = {{ socket = "http", path = "/health", passes = {workers}, body = "ok" }}
"""


def toml(text):
    return json.dumps(text)  # what JSON writes of these texts, TOML reads


class Batond(Subject):
    name = "batond"
    note = "proved through the public port before clients meet it"

    def __init__(self, *arguments, command=None, start_timeout="30s", **options):
        super().__init__(*arguments, **options)
        self.engine_command, self.start_timeout = command, start_timeout
        self.name_of_service = "bench"
        self.state = tempfile.mkdtemp(dir=self.tools.directory)

    @classmethod
    def missing(cls):
        return None

    def prepare(self):
        command = self.engine_command or [self.tools.service, *self.arguments]
        text = SETTINGS.format(
            user='user        = "root"' if os.getuid() == 0 else "", directory=toml(self.directory),
            sockets="" if self.idle else SOCKETS.format(port=self.port), command=json.dumps(command),
            workers=self.workers, engine="" if self.idle else ENGINE.format(workers=self.workers),
            start_timeout=toml(self.start_timeout))
        with open(os.path.join(self.directory, "bench.toml"), "w") as file:
            file.write(text)

    def command(self):
        return [self.tools.batond, "--settings", os.path.join(self.directory, "bench.toml"), "--name", "bench",
                "--runtime-directory", os.path.join(self.directory, "run"),
                "--state-directory", self.state]

    def environment(self):
        return dict(os.environ)

    def ask_reload(self):
        outcome = self.call("io.baton.Service.Reload", wait=True)
        now = time.monotonic_ns()
        if "error" in outcome:
            raise Stuck(f"batond refused a good reload: {outcome}")
        return now

    def call(self, method, **parameters):
        """One Varlink call; the last reply."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(os.path.join(self.directory, "run", "control"))
            client.sendall(json.dumps({"method": method, "parameters": parameters, "more": True}).encode() + b"\0")
            received = b""
            while True:
                message, end, received = received.partition(b"\0")
                if not end:
                    more = client.recv(65536)
                    if not more:
                        raise Stuck(f"batond closed the connection during {method}")
                    received = message + more
                    continue
                reply = json.loads(message)
                if not reply.get("continues"):
                    return reply
