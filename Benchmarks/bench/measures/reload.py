"""How long a reload takes, from the asking to the verdict and to the end of the old."""

from ..figures import Figure, milliseconds
from ..load import Load
from ..report import Measure, Target
from ..subjects import Batond, Floor, Gunicorn, ServerStarter

WORKERS, START_MS, RATE = 8, 300, 500


def reload(bench):
    measure = Measure(
        "reload", f"Reload of {WORKERS} workers whose program takes {START_MS} ms to start, under {RATE} requests/s",
        [Target("asked → verdict", 330, "ms"), Target("last ready → verdict", 20, "ms"), Target("failed", 0)])
    arguments = ["--version-text", "v1", "--start-delay", str(START_MS)]
    with bench.running(measure, [Floor, Batond, ServerStarter, Gunicorn], WORKERS, arguments) as subjects:
        taken = {subject: [] for subject in subjects}
        loads = {subject: Load(bench.tools, subject.url, RATE, mode="new") for subject in subjects}
        for subject in subjects:
            loads[subject].pause()
        for turn in range(bench.times(10, 4)):
            for subject in list(subjects):
                bench.say(f"reload {turn + 1}: {subject.name}")
                loads[subject].phase("reload")
                with bench.or_left_out(measure, subjects, subject):
                    taken[subject].append(subject.reload())
                loads[subject].pause()
        for subject, load in loads.items():
            report = load.report()
            if subject in subjects:
                tell(measure, subject, taken[subject], report)
    return measure


def tell(measure, subject, taken, report):
    def between(start, end):
        return Figure([milliseconds(end(times) - start(times)) for times in taken])
    asked, ready, verdict, gone = (lambda times, index=index: times[index] for index in range(4))
    measure.set(subject, "asked → last ready", between(asked, ready))
    if all(times[2] is not None for times in taken):
        measure.set(subject, "last ready → verdict", between(ready, verdict))
        measure.set(subject, "asked → verdict", between(asked, verdict))
        measure.set(subject, "verdict → old gone", between(verdict, gone))
    measure.set(subject, "asked → new ready and old gone", between(asked, lambda times: max(times[1], times[3])))
    measure.set(subject, "requests", report["sent"])
    measure.set(subject, "failed", report["failed"])
