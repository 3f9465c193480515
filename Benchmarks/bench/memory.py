"""The most memory a program had."""

import contextlib
import pathlib
import re
import threading


class PeakMemory(threading.Thread):
    """That of the first process whose command line has these words in a row, in MB: its VmHWM, looked at until it is gone
    (proc(5)). What wait4(2) says is no less than what the process had before it executed, which is all of this one."""

    def __init__(self, *words):
        super().__init__(daemon=True)
        self.words = b"\0".join(word.encode() for word in words) + b"\0"
        self.most, self.ended = 0, threading.Event()

    def run(self):
        found = None
        while not self.ended.wait(0.005):
            found = found or next((folder for folder in pathlib.Path("/proc").glob("[0-9]*") if self.is_it(folder)), None)
            with contextlib.suppress(OSError, TypeError):
                status = (found / "status").read_text()
                self.most = max(self.most, int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1e3)

    def is_it(self, folder):
        with contextlib.suppress(OSError):
            return (folder / "cmdline").read_bytes().startswith(self.words)
        return False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
