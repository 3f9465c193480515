"""Five hundred workers: how long until all run, and until all are gone."""

from ..figures import Figure, milliseconds
from ..report import Measure, Target
from ..subjects import Batond, Floor, Runit, S6

WORKERS = 500


def many(bench):
    measure = Measure("many", f"{WORKERS} idle workers, started and stopped",
                      [Target("started", 1000, "ms"), Target("stopped", 200, "ms")])
    taken = {}
    for turn in range(bench.times(5, 1)):
        for kind in (Floor, Batond, Runit, S6):
            if kind.name in measure.left_out:
                continue
            bench.say(f"many {turn + 1}: {kind.name}")
            with bench.running(measure, [kind], WORKERS, start=False, idle=True) as subjects:
                for subject in list(subjects):
                    with bench.or_left_out(measure, subjects, subject):
                        asked, execs, readies = subject.start()
                        stop_asked, gone = subject.stop()
                        taken.setdefault(kind, []).append(
                            (max(execs) - asked, max(readies) - asked, gone - stop_asked))
    for kind, times in taken.items():
        for index, column in enumerate(("all exec'd", "started", "stopped")):
            measure.set(kind, column, Figure([milliseconds(each[index]) for each in times], digits=0))
    return measure
