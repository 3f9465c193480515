"""What a supervisor costs while nothing happens."""

import os
import time

from ..figures import Figure
from ..report import Measure, Target
from ..subjects import Batond, Floor, Gunicorn, Runit, S6, ServerStarter

WORKERS = 8


def idle(bench):
    measure = Measure("idle", f"Idle with {WORKERS} workers: the supervising processes together",
                      [Target("RSS", 8, "MB"), Target("wake-ups", 1, "a second")])
    with bench.running(measure, [Floor, Batond, Runit, S6], WORKERS, idle=True) as subjects, \
            bench.running(measure, [ServerStarter, Gunicorn], WORKERS) as prefork:
        seconds = bench.times(15, 5)
        time.sleep(2)  # until what is left of the start is done
        everyone = subjects + prefork
        before = {subject: wake_ups(subject.pids()) for subject in everyone}
        bench.say(f"idle: {seconds} s")
        time.sleep(seconds)  # how long is measured
        for subject in everyone:
            pids = subject.pids()
            measure.set(subject, "RSS", Figure([memory(pids, "Rss") / 1024], unit="MB", digits=1))
            measure.set(subject, "PSS", Figure([memory(pids, "Pss") / 1024], unit="MB", digits=1))
            rate = (wake_ups(pids) - before[subject]) / seconds
            measure.set(subject, "wake-ups", Figure([rate], unit="/s", digits=2))
            measure.set(subject, "processes", len(pids))
            measure.set(subject, "threads", sum(int(status(f"/proc/{pid}/status", "Threads")) for pid in pids))
    return measure


def status(path, field):
    with open(path) as file:
        for line in file:
            if line.startswith(field + ":"):
                return line.split()[1]
    raise KeyError(field)


def memory(pids, field):
    return sum(int(status(f"/proc/{pid}/smaps_rollup", field)) for pid in pids)


def wake_ups(pids):
    """Voluntary context switches of all threads: each is a sleep that ended."""
    return sum(int(status(f"/proc/{pid}/task/{task}/status", "voluntary_ctxt_switches"))
               for pid in pids for task in os.listdir(f"/proc/{pid}/task"))
