"""batond put in place of itself: how long nobody supervises, and what clients notice."""

import os
import re
import time

from ..figures import Figure, milliseconds
from ..load import Load
from ..report import Measure, Target
from ..stamps import Stuck
from ..subjects import Batond

WORKERS, RATE, PAUSE_S = 8, 1_000, 0.05


def upgrade(bench):
    measure = Measure(
        "upgrade", f"batond puts itself in its own place with {WORKERS} workers, under {2 * RATE} requests/s: "
        "half on new connections, half on kept ones",
        [Target("without supervision", 15, "ms"), Target("failed, new", 0), Target("failed, kept", 0),
         Target("kept ones cut", 0), Target("queue drops", 0)])
    with bench.running(measure, [Batond], WORKERS, ["--version-text", "v1"]) as subjects:
        for subject in subjects:
            measure_one(bench, measure, subject)
    return measure


def measure_one(bench, measure, subject):
    fresh = Load(bench.tools, subject.url, RATE, mode="new")
    kept = Load(bench.tools, subject.url, RATE, mode="keepalive")
    workers, pid = workers_of(subject), subject.process.pid
    gaps, wholes, rss = [], [], []
    for turn in range(bench.times(100, 20)):
        if turn % 10 == 0:
            bench.say(f"upgrade {turn + 1}")
        # So that each meets clients that began after the one before.
        time.sleep(PAUSE_S)
        asked = time.monotonic_ns()
        gaps.append(upgrade_once(subject))
        wholes.append(milliseconds(time.monotonic_ns() - asked))
        rss.append(resident(pid))
    if workers_of(subject) != workers or os.path.basename(os.readlink(f"/proc/{pid}/exe")) != "batond":
        raise Stuck("the workers or the supervisor are not those that were there before")
    fresh, kept = fresh.report(), kept.report()
    measure.set(subject, "without supervision", Figure(gaps))
    measure.set(subject, "asked → verdict", Figure(wholes))
    measure.set(subject, "upgrades", len(gaps))
    measure.set(subject, "requests", fresh["sent"] + kept["sent"])
    measure.set(subject, "failed, new", fresh["failed"])
    measure.set(subject, "failed, kept", kept["failed"])
    measure.set(subject, "kept ones cut", kept["connections"]["closed_between"])
    measure.set(subject, "queue drops", fresh["kernel"]["ListenDrops"])
    measure.set(subject, "p99.9, new", f"{fresh['latency_us']['new']['p999'] / 1000:.1f} ms")
    measure.set(subject, "RSS first → last", f"{rss[0] / 1e6:.1f} → {rss[-1] / 1e6:.1f} MB")


def upgrade_once(subject):
    """Milliseconds from right before the execve to when the new image is at work, as batond says."""
    reply = subject.call("io.baton.Service.Upgrade", wait=True)
    if "error" in reply:
        raise Stuck(f"batond refused to be upgraded: {reply}")
    number, unit = re.search(r"([\d.]+)(ms|µs|s) without supervision", reply["parameters"]["verdict"]["what"]).groups()
    return float(number) * {"s": 1e3, "ms": 1, "µs": 1e-3}[unit]


def workers_of(subject):
    engine = subject.call("io.baton.Service.Status")["parameters"]["engines"][0]
    return [worker["pid"] for worker in engine["workers"]]


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
