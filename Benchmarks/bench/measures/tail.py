"""What clients feel of reloads: the slowest of a thousand requests, while reloading and while not."""

import time

from ..figures import Figure
from ..load import Load
from ..report import Measure, Target
from ..subjects import Batond, Floor, Nginx, ServerStarter

WORKERS, RATE, STEADY_S = 8, 2000, 2.5


def tail(bench):
    measure = Measure(
        "tail", f"{RATE} requests/s, half of them on new connections, half kept alive, with reloads and without "
        f"({WORKERS} workers, 300 ms to start)",
        [Target("p99.9 reload ÷ steady", 1.2), Target("failed", 0)])
    run(bench, measure, 300, turns=bench.times(10, 3), reloads=10, seconds=6)
    return measure


def slow_start(bench):
    measure = Measure(
        "slow-start", f"The same with a program that takes 2.5 s to start",
        [Target("p99.9 reload ÷ steady", 1.2), Target("failed", 0)])
    run(bench, measure, 2500, turns=bench.times(3, 1), reloads=2, seconds=10)
    return measure


def run(bench, measure, start_ms, turns, reloads, seconds):
    arguments = ["--version-text", "v1", "--start-delay", str(start_ms)]
    kinds = [Floor, Batond, ServerStarter] + ([Nginx] if start_ms < 1000 else [])
    with bench.running(measure, kinds, WORKERS, arguments) as subjects:
        done = dict.fromkeys(subjects, 0)
        loads = {subject: Load(bench.tools, subject.url, RATE) for subject in subjects}
        for load in loads.values():
            load.pause()
        for turn in range(turns):
            for subject in list(subjects):
                bench.say(f"{measure.key} {turn + 1}: {subject.name}")
                with bench.or_left_out(measure, subjects, subject):
                    done[subject] += one_turn(subject, loads[subject], reloads, seconds)
        for subject, load in loads.items():
            report = load.report()
            if subject in subjects:
                tell(measure, subject, done[subject], report)


def one_turn(subject, load, reloads, seconds):
    """Steady for a while, then one reload after another; returns how many."""
    load.phase("steady")
    time.sleep(STEADY_S)  # how long is measured
    load.phase("reload")
    end, count = time.monotonic() + seconds, 0
    while count < reloads and time.monotonic() < end:
        subject.reload()
        count += 1
    load.pause()
    return count


def tell(measure, subject, reloads, report):
    steady, reload = (report["phases"][name] for name in ("steady", "reload"))
    measure.set(subject, "reloads", reloads)
    measure.set(subject, "requests", report["sent"])
    measure.set(subject, "failed", report["failed"])
    for name, phase in (("steady", steady), ("reload", reload)):
        measure.set(subject, f"p99.9 {name}", Figure([phase["latency_us"]["both"]["p999"] / 1000], digits=2))
    for mode in ("both", "new", "keepalive"):
        label = "" if mode == "both" else f", {mode}"
        ratio = reload["latency_us"][mode]["p999"] / max(1, steady["latency_us"][mode]["p999"])
        measure.set(subject, f"p99.9 reload ÷ steady{label}", Figure([ratio], unit="", digits=2))
    measure.set(subject, "slowest in reload", Figure([reload["latency_us"]["both"]["max"] / 1000]))
    measure.set(subject, "failures", ", ".join(f"{kind} {count}" for kind, count in report["failures"].items() if count) or "none")
