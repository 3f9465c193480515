"""The soak: random acts on a service under load, for as long as is asked; nothing fails, nothing leaks.

    soak.py --seconds N [--seed S] [--turns N]

First as many reloads and as many upgrades of one batond as `--turns` says, whose figures are printed. Then, in the first
half: only acts that may cost no request (reloads, refused reloads, scaling, callers that mean no good); in the second half
workers are killed as well, which cuts what they were answering and refuses nobody. The seed is printed and repeats a run.
"""

import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from kit import fixtures, network, proc, varlink  # noqa: E402
from kit.load import Load  # noqa: E402
from kit.supervisor import Supervisor, service  # noqa: E402
from kit.turns import idle_listeners, turns  # noqa: E402
from kit.waiting import wait_until  # noqa: E402

RATE = 300
BAD = ("exits-at-start", "answers-500", "wrong-body", "crash-loop", "hangs-accept", "closes-listener")
# What a client sees of a worker that was killed while it answered; never a refusal, never a hang.
CUT = {"reset", "closed-before-answer", "cut-in-answer"}


class Soak:
    def __init__(self, supervisor, dice):
        self.supervisor, self.dice, self.of = supervisor, dice, supervisor.of
        self.round = 0
        self.acts = {}

    def reload(self):
        self.round += 1
        self.of.engines["web"] = self.of.web("--version-text", f"v{self.round}", workers=self.dice.randint(1, 5))
        self.supervisor.let_drain()
        self.supervisor.reload()

    def offer_bad(self):
        good = self.of.engines["web"]
        self.of.bad(self.dice.choice(BAD))
        self.of.engines["web"]["prove"] = {"socket": "http", "path": "/health", "body": "ok", "timeout": "500ms"}
        self.supervisor.refused()
        self.of.engines["web"] = good

    def scale(self):
        self.supervisor.call("Scale", engine="web", workers=self.dice.randint(1, 6), wait=True)

    def trouble_control(self):
        with varlink.Connection(self.supervisor.control) as connection:
            connection.socket.sendall(self.dice.randbytes(self.dice.randint(1, 5000)))

    def kill_worker(self):
        pids = self.supervisor.pids()
        if len(pids) > 1:
            victim = self.dice.choice(pids)
            proc.kill(victim)
            wait_until(
                lambda: victim not in self.supervisor.pids() and len(self.supervisor.pids()) == len(pids), 30,
                lambda: f"the replacement of {victim} of {pids}: {self.supervisor.workers()}",
            )  # fmt: skip

    def run(self, seconds, acts):
        """Random acts under load; the load's report."""
        until = time.monotonic() + seconds
        with Load(self.of.port, RATE, "--timeout", 10, resets=True) as load:
            while time.monotonic() < until:
                act = self.dice.choice(acts)
                act()
                self.acts[act.__name__] = self.acts.get(act.__name__, 0) + 1
        return load.report


def soak(seconds, seed):
    """Findings, as sentences."""
    wrong = []
    with service() as made, Supervisor(made) as supervisor:
        run = Soak(supervisor, random.Random(seed))
        calm = [run.reload, run.offer_bad, run.scale, run.trouble_control]
        run.run(2, calm)  # whatever is made once is there before it is measured
        wait_until(lambda: not supervisor.status()["draining"], 30, "the old generations to be gone")
        before = len(proc.descriptors(supervisor.pid)) - idle_listeners(supervisor), len(supervisor.workers())
        report = run.run(seconds / 2, calm)
        if report.failed:
            wrong.append(f"without kills: {report}")
        print(f"without kills: {report.sent:,} requests, {report.failed} failed")
        killed = run.run(seconds / 2, [*calm, run.kill_worker])
        unlike = {name for name, count in killed.json["failures"].items() if count} - CUT
        if unlike:
            wrong.append(f"with kills: {killed}")
        print(f"with kills: {killed.sent:,} requests, {killed.failed} cut")
        met = fixtures.counts(made.bad_counts)["clients"]
        if met:
            wrong.append(f"{met} clients met a bad version")
        wait_until(lambda: not supervisor.status()["draining"], 30, "the old generations to be gone")
        supervisor.call("Scale", engine="web", workers=before[1], wait=True)

        idle = idle_listeners(supervisor)

        def leaks():
            now = len(proc.descriptors(supervisor.pid)) - idle
            zombies = [pid for pid in proc.children(supervisor.pid) if proc.zombie(pid)]
            return now > before[0] + 2 or zombies or proc.rss_bytes(supervisor.pid) > 10 << 20

        try:
            wait_until(lambda: not leaks(), 15, "rest")
        except AssertionError:
            wrong.append(
                f"leaks: {before[0]} descriptors became {len(proc.descriptors(supervisor.pid)) - idle}, "
                f"{proc.rss_bytes(supervisor.pid) >> 10} KiB resident")
        print("acts: " + ", ".join(f"{name} {count}" for name, count in sorted(run.acts.items())))
        status, _ = supervisor.stop()
        if status != 0:
            wrong.append(f"the stop ended with {status}")
        if wrong:
            print(supervisor.log()[-20_000:])
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--turns", type=int, default=0)
    choice = parser.parse_args()
    network.try_own_network()
    wrong = turns(choice.turns) if choice.turns else []
    if choice.seconds:
        print(f"seed {choice.seed}")
        wrong += soak(choice.seconds, choice.seed)
    for finding in wrong:
        print(f"FAILED {finding}")
    print(f"{0 if wrong else 1} passed, {1 if wrong else 0} failed, 0 skipped")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
