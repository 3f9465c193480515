"""A service's settings as tables that a test changes before it writes them."""

from kit import toml


class Settings:
    """One engine `web` of fixture-service on one socket `http`, to begin with.

    `home`: the folder, as the programs see it, of the files `stamps`, `counts` and `bad`.
    """

    def __init__(self, program, home, port, directory, user):
        self.program, self.home, self.port, self.user = str(program), str(home), port, user
        self.service = {"directory": str(directory), "user": user}
        self.environment = {}
        self.sockets = {"http": {"listen": f"127.0.0.1:{port}"}}
        self.engines = {"web": self.web()}
        self.handover, self.shutdown = {}, {}
        # Other sections by their title; an empty one is written too.
        self.more = {}

    def fixture(self, *options):
        """The command of fixture-service with stamps in the file `stamps` and counts in `counts`."""
        return [
            self.program, "--stamp-file", f"{self.home}/stamps", "--count-file", f"{self.home}/counts", *map(str, options)
        ]

    def web(self, *options, **keys):
        """An engine that answers on `http`, proven before clients meet it; `workers` and all else may be given."""
        engine = {
            "command": self.fixture(*options), "workers": 2, "sockets": ["http"], "ready": "notify",
            "prove": {"socket": "http", "path": "/health", "timeout": "1s"}, "start-timeout": "10s", "stop-timeout": "5s",
        }  # fmt: skip
        engine.update({name.replace("_", "-"): each for name, each in keys.items()})
        return engine

    def idle(self, *options, **keys):
        """An engine without sockets."""
        return self.web("--idle", *options, **{"sockets": [], "prove": None, "workers": 1, **keys})

    def bad(self, misbehaviour, *options, **keys):
        """Replaces `web` by a version that misbehaves and counts whom it meets in the file `bad`."""
        self.engines["web"] = self.web(
            "--version-text", "bad", "--misbehave", misbehaviour, "--count-file", f"{self.home}/bad", *options, **keys)

    def text(self):
        parts = [("service", self.service), ("service.environment", self.environment)]
        parts += [(f"socket.{name}", entries) for name, entries in self.sockets.items()]
        parts += [(f"engine.{name}", entries) for name, entries in self.engines.items()]
        parts += [("handover", self.handover), ("shutdown", self.shutdown)]
        parts = [(title, entries) for title, entries in parts if entries] + list(self.more.items())
        return "\n".join(toml.table(title, entries) for title, entries in parts)
