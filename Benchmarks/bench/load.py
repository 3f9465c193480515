"""fixture-load as one run of figures a subject: paused while others have their turn."""

import json
import subprocess


class Load:
    def __init__(self, tools, url, rate, mode="both", timeout=10, connections=64, expect="v"):
        self.process = subprocess.Popen(
            [tools.load, "--url", url, "--rate", str(rate), "--mode", mode, "--timeout", str(timeout), "--json",
             "--connections", str(connections), "--expect-body", expect, "--control"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        self.paused = False

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def phase(self, name):
        """What is due from now on counts for that phase; goes on after a pause."""
        self.say("mark " + name)
        if self.paused:
            self.say("resume")
        self.paused = False

    def pause(self):
        self.say("pause")
        self.paused = True

    def report(self):
        report = json.loads(self.process.communicate("stop\n", timeout=60)[0])
        report["phases"] = {phase["name"]: phase for phase in report["phases"]}
        return report


def quantile(phases, mode, fraction):
    """Of several phases together, in microseconds."""
    buckets = sorted(tuple(bucket) for phase in phases for bucket in phase["latency_us"][mode]["buckets"])
    wanted, seen = fraction * sum(count for _, count in buckets), 0
    for microseconds, count in buckets:
        seen += count
        if seen >= wanted:
            return microseconds
    return 0
