"""The test runner: one process a test, so that a hang, a leak or a crash is one test's and no other's."""

import json
import os
import selectors
import signal
import sys
import tempfile
import time
import traceback
import unittest

from kit import network, proc

DEFAULT_SECONDS = 60
# After its limit a test has this long to clean up before it is killed.
GRACE_SECONDS = 20
# A test that failed is run so often again, alone: one that passes each time is said to be unsteady, which is no failure.
# Where more than so many failed, something is wrong that no repetition explains (docs/decisions/0019). BATON_AGAIN=0: none
# is run again, for who breaks a promise to see a test fail.
AGAIN = int(os.environ.get("BATON_AGAIN", "3"))
UNSTEADY = 2
# Most of a test is waiting. So many run at once anyway, and so many at most while a processor has nothing to do.
FEWEST = 3
MOST = 10


def within(seconds):
    """Decorates a test or a class: its time limit. The default is 60 s."""

    def mark(target):
        target.within_seconds = seconds
        return target

    return mark


def alone(target):
    """Decorates a test or a class that measures time or needs the whole machine: nothing runs beside it."""
    target.runs_alone = True
    return target


def either_base(target):
    """Decorates a test or a class that asks nothing of systemd that differs from one version to the next: where both bases
    are tested, half of those run on the one and half on the other. BATON_BASES=all runs all of them on both."""
    target.runs_on_either_base = True
    return target


def of_base(tests, base, bases):
    """Those of `tests` that are `base`'s turn, of the bases in turn."""
    either = [test for test in tests if _mark(test, "runs_on_either_base", False)]
    others = set(either) - set(either[bases.index(base) :: len(bases)])
    return [test for test in tests if test not in others]


def _mark(test, name, default):
    method = getattr(test, test._testMethodName)
    return getattr(method, name, getattr(test, name, default))


class _TimeUp(BaseException):
    """Raised in a test by its alarm; no `except Exception` swallows it."""


class _Running:
    """A test under way in a child process."""

    def __init__(self, test):
        self.test = test
        self.began = time.monotonic()
        self.limit = _mark(test, "within_seconds", DEFAULT_SECONDS)
        self.output = tempfile.TemporaryFile(mode="w+", errors="replace")
        self.result_end, write_end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.result_end)
            _child(test, self.limit, self.output.fileno(), write_end, parent)
        os.close(write_end)

    @property
    def seconds(self):
        return time.monotonic() - self.began

    def finish(self):
        """Collects the child, which has closed its end or is overdue."""
        late = self.seconds > self.limit + GRACE_SECONDS
        if late:
            for pid in [*proc.descendants(self.pid), self.pid]:
                proc.kill(pid)
        data = b""
        while not late and (part := os.read(self.result_end, 65536)):
            data += part
        os.close(self.result_end)
        os.waitpid(self.pid, 0)
        self.output.seek(0)
        text = self.output.read()
        if data:
            outcome, detail = json.loads(data)
        else:
            outcome, detail = "failed", "hung, even in its clean-up, and was killed" if late else "its process died"
        return outcome, detail, text


def _child(test, limit, output, write_end, parent):
    status = 1
    try:
        os.setsid()
        proc.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        proc.prctl(proc.PR_SET_CHILD_SUBREAPER, 1)
        # What whoever began the run ignores (nohup, a profiler) is not what a test's programs should inherit.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            if number == signal.SIGTERM or signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.set_inheritable(write_end, False)
        network.try_own_network()

        def time_up(_signal, _frame):
            raise _TimeUp(f"not done after {limit:g} s")

        signal.signal(signal.SIGALRM, time_up)
        signal.setitimer(signal.ITIMER_REAL, limit)
        outcome, detail = _outcome(test)
        signal.setitimer(signal.ITIMER_REAL, 0)
        left = _left_behind()
        if left and outcome == "passed":
            outcome, detail = "failed", "left processes behind:\n" + "\n".join(left)
        os.write(write_end, json.dumps([outcome, detail]).encode()[:65000])
        status = 0
    except BaseException:
        os.write(write_end, json.dumps(["failed", traceback.format_exc()]).encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _outcome(test):
    result = unittest.TestResult()
    try:
        test.run(result)
    except _TimeUp as error:
        return "failed", f"{error}\n{traceback.format_exc()}"
    bad = [text for _, text in result.errors + result.failures]
    if bad:
        return "failed", "\n".join(bad)
    if result.skipped:
        return "skipped", "; ".join(reason for _, reason in result.skipped)
    if result.unexpectedSuccesses:
        return "failed", "succeeded, though it was expected to fail"
    return "passed", ""


def _left_behind():
    """Kills what the test left running below it, and says what it was. Orphans that have ended, or are about to, are
    only reaped."""
    left = []
    for pid in proc.descendants(os.getpid()):
        if proc.alive(pid) and not proc.ending(pid):
            left.append(f"  {pid} {' '.join(proc.command_line(pid))}")
            proc.kill(pid)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return left


class _Slots:
    """How many tests may run at once: one more while processors are idle, one less while none is."""

    # Shares of all processors, of what nobody used since it was looked at last.
    IDLE, BUSY = 0.18, 0.06
    # A shorter look says nothing: the kernel counts in hundredths.
    SECONDS = 0.4

    def __init__(self, fewest, most):
        self.fewest, self.most, self.count = fewest, most, fewest
        self.asked, self.before = time.monotonic(), self._counters()

    def now(self, under_way):
        if time.monotonic() - self.asked >= self.SECONDS:
            before, now = self.before, self._counters()
            self.asked, self.before = time.monotonic(), now
            idle = (now[0] - before[0]) / max(now[1] - before[1], 1)
            if idle > self.IDLE and under_way >= self.count:
                self.count = min(self.count + 1, self.most)
            elif idle < self.BUSY:
                self.count = max(self.count - 1, self.fewest)
        return self.count

    @staticmethod
    def _counters():
        """(idle, all) in ticks; proc_stat(5). Waiting for a disk is not idle; what runs niced gives way."""
        with open("/proc/stat") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        return ticks[1] + ticks[3], sum(ticks)


def run(tests, jobs=None, verbose=False):
    """Runs them all, prints one line each and the sum, and returns the exit status. `jobs` at once, or by what is idle.
    Those that may take longest begin first: the last one has nothing beside it."""
    tests = sorted(tests, key=lambda test: -_mark(test, "within_seconds", DEFAULT_SECONDS))
    waiting = [test for test in tests if not _mark(test, "runs_alone", False)]
    alone_after = [test for test in tests if _mark(test, "runs_alone", False)]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failed, unsteady = [], []
    fewest, most = (max(jobs, 1),) * 2 if jobs is not None else (FEWEST, MOST)
    for group, *slots in ((waiting, fewest, most), (alone_after, 1, 1)):
        for test, outcome, detail, text, seconds in _run_group(group, *slots):
            counts[outcome] += 1
            mark = {"passed": "ok     ", "failed": "FAILED ", "skipped": "skipped"}[outcome]
            print(f"{mark} {test.id()} ({seconds:.1f} s)" + (f": {detail}" if outcome == "skipped" else ""), flush=True)
            if outcome == "failed":
                failed.append(test)
                print(_indented(detail))
            if text.strip() and (verbose or outcome == "failed"):
                print(_indented("output:\n" + text), flush=True)
    if AGAIN and len(failed) <= UNSTEADY:
        unsteady = [test for test in failed if _passes_again(test)]
        failed = [test for test in failed if test not in unsteady]
        counts["failed"] -= len(unsteady)
        counts["passed"] += len(unsteady)
    for test in unsteady:
        print(f"unsteady {test.id()}: failed, then passed {AGAIN} times alone")
    if failed:
        print("failed: " + ", ".join(test.id() for test in failed))
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if failed else 0


def _passes_again(test):
    """Whether it passes each time when nothing runs beside it."""
    for _ in range(AGAIN):
        ((_, outcome, detail, text, seconds),) = _run_group([test], 1, 1)
        print(f"again   {test.id()} ({seconds:.1f} s): {outcome}", flush=True)
        if outcome != "passed":
            print(_indented(detail + ("\noutput:\n" + text if text.strip() else "")), flush=True)
            return False
    return True


def _run_group(tests, fewest, most):
    queue, selector, slots = list(tests), selectors.DefaultSelector(), _Slots(fewest, most)
    under_way = {}
    try:
        while queue or under_way:
            while queue and len(under_way) < slots.now(len(under_way)):
                running = _Running(queue.pop(0))
                under_way[running.result_end] = running
                selector.register(running.result_end, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(timeout=0.5)}
            for end, running in list(under_way.items()):
                if end in ready or running.seconds > running.limit + GRACE_SECONDS:
                    selector.unregister(end)
                    del under_way[end]
                    seconds = running.seconds
                    yield running.test, *running.finish(), seconds
    finally:
        for running in under_way.values():
            for pid in [*proc.descendants(running.pid), running.pid]:
                proc.kill(pid)


def _indented(text):
    return "\n".join("    " + line for line in text.rstrip().splitlines())
