"""Bounds of workers where the kernel has every controller. Run by Tests/ProcessTests/test_own_kernel.py."""

import contextlib
import os
import pathlib
import sys
import unittest

from kit.runner import within
from kit.supervisor import running
from kit.waiting import wait_until

ROOT = pathlib.Path("/sys/fs/cgroup")
# Goes on where it may not.
FORKS = """
import os, signal
for _ in range(20):
    try:
        if os.fork() == 0:
            break
    except OSError:
        pass
signal.pause()
"""
IN_IT = ["/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"']


@contextlib.contextmanager
def delegated(change):
    """batond in a cgroup that is its own to divide, as a unit with Delegate=yes is."""
    controllers = (ROOT / "cgroup.controllers").read_text().split()
    (ROOT / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in controllers))
    folder = ROOT / f"unit-{os.getpid()}"
    folder.mkdir()
    os.setxattr(folder, "trusted.delegate", b"1")
    try:
        with running(change, prefix=[*IN_IT, str(folder)]) as supervisor:
            yield supervisor, folder
    finally:
        for inner in [each for each in folder.iterdir() if each.is_dir()]:
            inner.rmdir()
        folder.rmdir()


def cgroup(folder, worker):
    """Of the worker, as long as it has one."""
    return next(each for each in folder.iterdir() if each.is_dir() and each.name.startswith(f"{worker}."))


def worker(it, engine):
    return it.workers(engine)[0]


def events(it, kind):
    return [each for each in it.call("Events", limit=200)["events"] if each["kind"] == kind]


def shell(made, script, **keys):
    made.engines["jobs"] = made.idle(
        **{"command": ["/bin/sh", "-c", script], "ready": {"after": "1ms"}, "stop_timeout": "1s",
           "restart": {"delay": "10s", "max-delay": "10s"}, **keys})  # fmt: skip


@within(60)
class Bounds(unittest.TestCase):
    def test_one_that_takes_more_than_its_memory_is_killed_and_named(self):
        def eater(made):
            shell(made, "exec tail /dev/zero", **{"memory-max": "50M"})

        with delegated(eater) as (it, _):
            before = it.pids()
            wait_until(lambda: worker(it, "jobs")["restarts"] >= 1, 30, "the kernel to kill it")
            self.assertIn("for want of memory", worker(it, "jobs")["lastExit"])
            told = [each["text"] for each in events(it, "worker-out-of-memory")]
            self.assertEqual(told[:1], ["jobs.1 ended with SIGKILL by the kernel, for want of memory (OOM)"])
            # Nobody else is harmed, and nothing is said that weakens a promise.
            self.assertEqual(it.pids(), before)
            self.assertFalse([each for each in it.status()["warnings"] if "not in force" in each])

    def test_a_child_that_takes_it_is_told_and_the_worker_goes_on(self):
        def parent(made):
            shell(made, "tail /dev/zero; while :; do sleep 1; done", **{"memory-max": "50M"})

        with delegated(parent) as (it, _):
            wait_until(lambda: events(it, "worker-out-of-memory"), 30, "the kernel to kill the child")
            told = events(it, "worker-out-of-memory")[0]
            self.assertEqual((told["engine"], told["worker"]), ("jobs", "jobs.1"))
            self.assertEqual((worker(it, "jobs")["state"], worker(it, "jobs")["restarts"]), ("ready", 0))

    def test_what_the_settings_say_is_what_the_kernel_has(self):
        def bounded(made):
            made.engines["web"].update({"memory-max": "200M", "cpu-max": "150%", "pids-max": 50})

        with delegated(bounded) as (it, folder):
            place = cgroup(folder, "web.1")
            said = [(place / f"{each}.max").read_text().strip() for each in ("memory", "cpu", "pids")]
            self.assertEqual(said, ["209715200", "150000 100000", "50"])
            self.assertFalse([each for each in it.status()["warnings"] if "not in force" in each])
            # Also of the next generation's, and those of the old one go.
            it.reload()
            wait_until(lambda: not any(each.name.split(".")[2] == "1" for each in folder.glob("web.*")), 10)
            self.assertEqual((cgroup(folder, "web.1") / "memory.max").read_text().strip(), "209715200")

    def test_no_more_processes_than_it_may_have(self):
        def many(made):
            shell(made, "", command=[sys.executable, "-c", FORKS], **{"pids-max": 5})

        with delegated(many) as (it, folder):
            wait_until(lambda: int((cgroup(folder, "jobs.1") / "pids.events").read_text().split()[1]) > 0, 20)
            self.assertEqual(int((cgroup(folder, "jobs.1") / "pids.current").read_text()), 5)
            self.assertEqual(len(it.pids()), 2)

    def test_no_more_of_the_processor_than_it_may_have(self):
        def busy(made):
            shell(made, "while :; do :; done", **{"cpu-max": "20%"})

        with delegated(busy) as (it, folder):
            def throttled():
                lines = (cgroup(folder, "jobs.1") / "cpu.stat").read_text().splitlines()
                return int(dict(line.split() for line in lines)["nr_throttled"])

            wait_until(lambda: throttled() >= 5, 20, "it to be held back")

    def test_one_that_grows_is_replaced_by_what_its_cgroup_takes(self):
        def growing(made):
            made.engines["web"] = made.web("--misbehave", "grows-memory=20", workers=1)
            made.engines["web"]["memory-limit"] = "40M"

        with delegated(growing) as (it, _):
            before = it.pids()
            wait_until(lambda: it.pids() and it.pids() != before, 40, "the worker that has grown to be replaced")
            self.assertIn("is replaced by a fresh one: it takes", it.log())


if __name__ == "__main__":
    unittest.main()
