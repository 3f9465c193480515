"""fixture-load as one run of figures a subject: paused while others have their turn."""

import json
import subprocess


class Load:
    def __init__(self, tools, url, rate, mode="both", timeout=10, connections=64, expect="v"):
        self.process = subprocess.Popen(
            [tools.load, "--url", url, "--rate", str(rate), "--mode", mode, "--timeout", str(timeout), "--json",
             "--connections", str(connections), "--expect-body", expect, "--control"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def phase(self, name):
        self.say("mark " + name)
        self.say("resume")

    def pause(self):
        self.say("pause")

    def report(self):
        report = json.loads(self.process.communicate("stop\n", timeout=60)[0])
        report["phases"] = {phase["name"]: phase for phase in report["phases"]}
        return report
