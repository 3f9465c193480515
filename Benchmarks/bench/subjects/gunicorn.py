import os

from ..subject import Subject

# The same beginning and the same stamps as fixture-service, in gunicorn's own terms.
SETTINGS = """
import os, time
bind = "127.0.0.1:{port}"
workers = {workers}
backlog = 4096
loglevel = "error"
graceful_timeout = 10

def stamp(event, at=None):
    with open({stamps!r}, "ab", buffering=0) as file:
        file.write(b"%s %d %d - -\\n" % (event, os.getpid(), at or time.monotonic_ns()))

def post_fork(server, worker):
    stamp(b"exec")

def post_worker_init(worker):
    stamp(b"ready")

def worker_exit(server, worker):
    stamp(b"exit")
"""

APPLICATION = """
import time
time.sleep({delay})

def application(environment, start_response):
    body = b"v1 gunicorn\\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


class Gunicorn(Subject):
    name = "gunicorn"
    note = "its own sync workers (Python), which wait as long to start"
    program = "gunicorn"

    def prepare(self):
        delay = 0.0
        if "--start-delay" in self.arguments:
            delay = int(self.arguments[self.arguments.index("--start-delay") + 1]) / 1000
        with open(os.path.join(self.directory, "settings.py"), "w") as file:
            file.write(SETTINGS.format(port=self.port, workers=self.workers, stamps=self.stamps.path))
        with open(os.path.join(self.directory, "application.py"), "w") as file:
            file.write(APPLICATION.format(delay=delay))

    def command(self):
        return ["gunicorn", "-c", "settings.py", "application:application"]

    def pids(self):
        return [self.process.pid]  # the workers are forks of it
