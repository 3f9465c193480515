"""fixture-load at the other end: clients that ask on schedule, each answer or failure counted."""

import json
import subprocess

from kit import network, proc, programs


class Report:
    """What the load counted."""

    def __init__(self, text):
        self.text = text
        self.json = json.loads(text)
        self.sent, self.ok, self.failed = (self.json[name] for name in ("sent", "ok", "failed"))
        self.versions = self.json["versions"]

    def phase(self, name):
        return next(each for each in self.json["phases"] if each["name"] == name)

    def __str__(self):
        failures = {name: count for name, count in self.json["failures"].items() if count}
        return f"{self.sent} sent, {self.failed} failed {failures or ''}, answered by {self.versions}"


class Load:
    """Runs from the start of the `with` block to its end; `report` is there afterwards.

    with Load("http://127.0.0.1:8000/", rate=500) as load:
        …
    assert load.report.failed == 0

    In a network of the test's own no connection may have been dropped from a listener's queue, and none reset as long as
    none failed. `resets`: somebody else there may be, such as probes of a version that misbehaves.
    """

    def __init__(self, target, rate, *options, prefix=(), resets=False):
        url = f"http://127.0.0.1:{target}/" if isinstance(target, int) else target
        self.prefix, self.resets = prefix, resets
        self.command = [
            *prefix, programs.path("fixture-load"), "--control", "--json", "--url", url, "--rate", str(rate), *map(str, options),
        ]  # fmt: skip
        self.report = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=proc.die_with_parent,
        )  # fmt: skip
        return self

    def mark(self, name):
        """A new phase with figures of its own."""
        self._say(f"mark {name}")

    def tally(self):
        """What came of it so far: sent, failed, failures by kind, and for how many ms the oldest request waits."""
        self._say("tally")
        return json.loads(self.process.stdout.readline())

    def stop(self, within=30):
        """Ends the load, waits for its last answers, and returns the report."""
        if self.report is None:
            try:
                output, errors = self.process.communicate("stop\n", timeout=within)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()
                raise
            if self.process.returncode not in (0, 1) or not output.strip():
                raise AssertionError(f"fixture-load ended with {self.process.returncode}: {errors}")
            self.report = Report(output)
            self._check_kernel()
        return self.report

    def _check_kernel(self):
        """What the kernel threw away or reset is nothing that a client may have overlooked."""
        if not (self.prefix or network.is_own):
            return  # nobody can say whose it was
        kernel = self.report.json["kernel"]
        drops = kernel["ListenDrops"] + kernel["ListenOverflows"]
        resets = kernel["OutRsts"] + kernel["EstabResets"]
        if drops or (resets and not self.resets and self.report.failed == 0):
            raise AssertionError(f"the kernel counts {drops} drops at listeners, {resets} resets: {self.report}, {kernel}")

    def _say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        elif self.report is None:
            self.process.kill()
            self.process.communicate()
