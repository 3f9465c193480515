"""A worker is killed: how long until its replacement runs its first instruction."""

import os
import signal
import time

from ..figures import Figure, milliseconds
from ..report import Measure, Target
from ..subjects import Batond, Floor, Runit, S6, ServerStarter

WORKERS, TURN_S = 8, 1.3


def kill(bench):
    measure = Measure("kill", "A worker killed by SIGKILL → its replacement in main() (CLOCK_MONOTONIC, first crash)",
                      [Target("killed → exec'd", 3, "ms")])
    with bench.running(measure, [Floor, Batond, Runit, S6], WORKERS, idle=True) as subjects, \
            bench.running(measure, [ServerStarter], 1) as single:
        subjects += single
        single.clear()
        workers = {subject: [stamp.pid for stamp in subject.stamps.of("ready")] for subject in subjects}
        taken = {subject: [] for subject in subjects}
        for turn in range(bench.times(24, 8)):
            bench.say(f"kill {turn + 1}")
            # runit, s6 and Server::Starter wait a second before they start again what lived for less.
            time.sleep(TURN_S)
            for subject in list(subjects):
                with bench.or_left_out(measure, subjects, subject):
                    taken[subject].append(kill_one(subject, workers[subject], turn))
        for subject in subjects:
            measure.set(subject, "killed → exec'd", Figure([milliseconds(ns) for ns in taken[subject]], digits=2))
            measure.set(subject, "kills", len(taken[subject]))
    return measure


def kill_one(subject, workers, turn):
    victim = turn % len(workers)
    subject.stamps.forget()
    killed = time.monotonic_ns()
    os.kill(workers[victim], signal.SIGKILL)
    replacement = subject.stamps.wait("ready", 1, 10, f"replacement by {subject.name}")[0]
    workers[victim] = replacement.pid
    return subject.stamps.of("exec")[0].ns - killed
