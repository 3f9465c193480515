import os
import socket
import time

from ..subject import PATIENCE, Subject, children
from ..stamps import Stuck

SETTINGS = """
daemon off;
worker_processes {workers};
pid {directory}/pid;
error_log {directory}/error.log error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "v1 nginx\\n"; }}
  }}
}}
"""


class Nginx(Subject):
    name = "nginx"
    note = "its own workers, which need no time to start"
    program = "nginx"

    def prepare(self):
        with open(os.path.join(self.directory, "nginx.conf"), "w") as file:
            file.write(SETTINGS.format(workers=self.workers, port=self.port, directory=self.directory))

    def command(self):
        return ["nginx", "-p", self.directory, "-c", os.path.join(self.directory, "nginx.conf")]

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise Stuck(f"nginx: {what}")
            time.sleep(0.002)  # it tells nobody; /proc must be asked
        return time.monotonic_ns()

    def answers(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self):
        self.prepare()
        asked = time.monotonic_ns()
        self.process = self.spawn(self.command())
        ready = self.until(lambda: self.answers() and len(children(self.process.pid)) == self.workers, "start")
        return asked, [ready], [ready]

    def reload(self):
        before = set(children(self.process.pid))
        asked = time.monotonic_ns()
        self.ask_reload()
        ready = self.until(lambda: len(set(children(self.process.pid)) - before) == self.workers, "new workers")
        gone = self.until(lambda: not before & set(children(self.process.pid)), "old workers gone")
        return asked, ready, None, gone

    def pids(self):
        return [self.process.pid]
