import subprocess
import time

from ..subject import PATIENCE, Subject
from ..stamps import Stuck


class Floor(Subject):
    name = "floor"
    note = "a bare loop of posix_spawn, waitpid and kill in C"

    @classmethod
    def missing(cls):
        return None

    def command(self):
        port = 0 if self.idle else self.port
        listener = [] if self.idle else ["--listen-fd", "3"]
        return [self.tools.floor, str(port), str(self.workers), "--", self.tools.service, *listener, *self.arguments]

    def spawn(self, command):
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                cwd=self.directory, process_group=0, bufsize=1)

    def expect(self, word):
        if self.process.stdout.readline().strip() != word:
            raise Stuck(f"floor did not say {word}")

    def start(self):
        times = super().start()
        self.expect("up")
        return times

    def ask_reload(self):
        self.process.stdin.write("reload\n")
        self.expect("reloaded")
        return time.monotonic_ns()

    def ask_stop(self):
        self.process.stdin.write("stop\n")
        self.expect("stopped")
        self.process.wait(PATIENCE)
