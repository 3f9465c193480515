"""System calls of a running program fail, as strace(1) can make them."""

import subprocess
import threading

from kit import http, programs


def injected(call, error, when):
    """What strace is told."""
    return ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"]


class Injection:
    """Calls of the one thread of a process, not of its children, fail as long as the block lasts. With `paths` those of
    any thread and child, but about these files alone."""

    def __init__(self, pid, call, error, when, paths=()):
        about = [word for path in paths for word in ("-P", str(path))]
        self.command = [
            programs.tool("strace"), *(["-f"] if paths else []), "-p", str(pid), "-o", "/dev/null", *about,
            *injected(call, error, when),
        ]  # fmt: skip

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        if "attached" not in said:
            self.__exit__()
            raise AssertionError(f"strace: {said}")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


class Asking:
    """A client that asks again and again; what went wrong."""

    def __init__(self, port):
        self.port, self.wrong, self.count, self.ends = port, [], 0, threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()

    def _ask(self):
        while not self.ends.wait(0.01):
            try:
                answer = http.ask(self.port)
                if answer.status != 200:
                    self.wrong.append(answer.status)
            except OSError as error:
                self.wrong.append(str(error))
            self.count += 1
