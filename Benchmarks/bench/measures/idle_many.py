"""What each worker costs whoever supervises it, while nothing happens."""

import os
import time

from ..figures import Figure
from ..report import Measure
from ..subjects import Batond, Floor, Runit, S6
from .idle import memory

FEW, WORKERS = 8, 500


def idle_many(bench):
    measure = Measure("idle-many", f"Idle with {WORKERS} workers: the supervising processes together")
    for kind in (Floor, Batond, Runit, S6):
        bench.say(f"idle-many: {kind.name}")
        few, _ = observe(bench, measure, kind, FEW, 0)
        if few is None:
            continue
        many, taken = observe(bench, measure, kind, WORKERS, bench.times(60, 15))
        if many is None:
            continue
        measure.set(kind, f"RSS, {FEW}", Figure([few / 1024], unit="MB", digits=1))
        measure.set(kind, f"RSS, {WORKERS}", Figure([many / 1024], unit="MB", digits=1))
        measure.set(kind, "RSS a worker", Figure([(many - few) / (WORKERS - FEW)], unit="KB", digits=1))
        measure.set(kind, "processor a minute", Figure([taken], unit="ms", digits=0))
    return measure


def observe(bench, measure, kind, workers, seconds):
    """Resident KB, and milliseconds of the processor taken in a minute."""
    with bench.running(measure, [kind], workers, idle=True) as subjects:
        for subject in subjects:
            time.sleep(3)  # until what is left of the start is done
            pids = subject.pids()
            before = processor_ms(pids)
            time.sleep(seconds)  # how long is measured
            return memory(pids, "Rss"), (processor_ms(pids) - before) * 60 / seconds if seconds else 0
    return None, None


def processor_ms(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")
