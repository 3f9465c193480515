"""What clients feel of reloads: the slowest of a thousand requests, while reloading and while not."""

import time

from ..figures import Figure
from ..load import Load, quantile
from ..report import Measure, Target
from ..subjects import Batond, Floor, Nginx, ServerStarter

WORKERS, RATE = 8, 2000
RELOADS_A_STEP = 2


def tail(bench):
    measure = Measure(
        "tail", f"{RATE} requests/s, half of them on new connections, half kept alive, with reloads and without "
        f"({WORKERS} workers, 300 ms to start)",
        [Target("p99.9 reload ÷ steady", 1.2), Target("failed", 0)])
    run(bench, measure, 300, turns=bench.times(20, 2), reloads=10, seconds=7)
    return measure


def slow_start(bench):
    measure = Measure(
        "slow-start", "The same with a program that takes 2.5 s to start",
        [Target("p99.9 reload ÷ steady", 1.2), Target("failed", 0)])
    run(bench, measure, 2500, turns=bench.times(3, 1), reloads=4, seconds=15)
    return measure


def run(bench, measure, start_ms, turns, reloads, seconds):
    arguments = ["--version-text", "v1", "--start-delay", str(start_ms)]
    kinds = [Floor, Batond, ServerStarter] + ([Nginx] if start_ms < 1000 else [])
    with bench.running(measure, kinds, WORKERS, arguments) as subjects:
        pairs = {subject: 0 for subject in subjects}
        loads = {subject: Load(bench.tools, subject.url, RATE) for subject in subjects}
        for load in loads.values():
            load.pause()
        for turn in range(turns):
            for subject in list(subjects):
                bench.say(f"{measure.key} {turn + 1}: {subject.name}")
                with bench.or_left_out(measure, subjects, subject):
                    pairs[subject] = one_turn(subject, loads[subject], pairs[subject], reloads, seconds)
        for subject, load in loads.items():
            report = load.report()
            if subject in subjects:
                tell(measure, subject, report, pairs[subject])


def one_turn(subject, load, pair, reloads, seconds):
    """A few reloads, then as long without any, and again; returns the number of the next such pair.

    What else the machine does comes and goes within seconds and makes p99.9 five times as long, so both are measured by
    turns. The ratio is that of all requests in reloads to all beside them; that of single pairs is shown as well, where the
    second of quiet that one happens to have counts as much as all else.
    """
    end, last = time.monotonic() + seconds, pair + reloads // RELOADS_A_STEP
    while pair < last and time.monotonic() < end:
        began = time.monotonic()
        load.phase(f"reload {pair}")
        for _ in range(RELOADS_A_STEP):
            subject.reload()
        load.phase(f"steady {pair}")
        time.sleep(time.monotonic() - began)  # how long is measured
        pair += 1
    load.pause()
    return pair


def tell(measure, subject, report, pairs):
    steady, reload = ([report["phases"][f"{name} {pair}"] for pair in range(pairs)] for name in ("steady", "reload"))
    measure.set(subject, "reloads", pairs * RELOADS_A_STEP)
    measure.set(subject, "requests", report["sent"])
    measure.set(subject, "failed", report["failed"])
    for name, phases in (("steady", steady), ("reload", reload)):
        taken = [quantile([phase], "both", 0.999) / 1000 for phase in phases]
        measure.set(subject, f"p99.9 {name}", Figure(taken, digits=2))
    for mode in ("both", "new", "keepalive"):
        label = "" if mode == "both" else f", {mode}"
        whole = quantile(reload, mode, 0.999) / max(1, quantile(steady, mode, 0.999))
        measure.set(subject, f"p99.9 reload ÷ steady{label}", Figure([whole], unit="", digits=2))
    ratios = [quantile([during], "both", 0.999) / max(1, quantile([beside], "both", 0.999))
              for beside, during in zip(steady, reload)]
    measure.set(subject, "pair by pair", Figure(ratios, unit="", digits=2))
    slowest = max(phase["latency_us"]["both"]["max"] for phase in reload)
    measure.set(subject, "slowest in reload", Figure([slowest / 1000]))
    failures = ", ".join(f"{kind} {count}" for kind, count in report["failures"].items() if count)
    measure.set(subject, "failures", failures or "none")
