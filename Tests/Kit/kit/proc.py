"""Reading /proc, and the processes below another one."""

import ctypes
import os
import pathlib
import signal

from kit.waiting import wait_until

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def prctl(option, value):
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def die_with_parent():
    """For preexec_fn: the process is killed when the thread that started it ends."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stat(pid):
    """The fields of /proc/PID/stat after the name, or None when the process is gone. [0] is the state, [1] the parent."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def status(pid):
    """/proc/PID/status as a dictionary of texts; empty when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def writes_to_a_shared_file(pid):
    """Whether it is in the middle of a SQLite transaction that writes; proc_locks(5), and WAL_WRITE_LOCK in SQLite's wal.c."""
    lines = (line.split() for line in pathlib.Path("/proc/locks").read_text().splitlines())
    return any(words[1] == "POSIX" and words[3:5] == ["WRITE", str(pid)] and words[6] == "120" for words in lines)


def stop_between_writes(pid):
    """SIGSTOP, but not in the moment in which it keeps a SQLite file to itself: all others would stand still as well."""

    def stopped():
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: stat(pid)[0] == "T", 10, "its stop")
        if not writes_to_a_shared_file(pid):
            return True
        os.kill(pid, signal.SIGCONT)
        return False

    wait_until(stopped, 20, "a moment in which it does not write")


def start_time(pid):
    """When it started, in clock ticks since boot: with the pid it names a process for ever."""
    fields = stat(pid)
    return int(fields[19]) if fields else None


def alive(pid):
    """Runs, and is not a zombie."""
    fields = stat(pid)
    return fields is not None and fields[0] not in "ZX"


def ending(pid):
    """Whether the kernel is taking it apart already: it has no memory and runs nothing more, and is no zombie yet either.
    PF_EXITING in linux/sched.h, among the flags of proc_pid_stat(5)."""
    fields = stat(pid)
    return fields is not None and bool(int(fields[6]) & 0x4)


def zombie(pid):
    fields = stat(pid)
    return fields is not None and fields[0] == "Z"


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def environment(pid):
    text = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def descriptors(pid):
    """Each open descriptor's number and what it is."""
    found = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/{pid}/fd/{entry}")
        except FileNotFoundError:
            pass
    return found


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def rss_bytes(pid):
    return int(status(pid)["VmRSS"].split()[0]) * 1024


def own_bytes(pid):
    """Resident memory that is no file's: what a leak grows. Code comes and goes as it is needed."""
    return int(status(pid)["RssAnon"].split()[0]) * 1024


def children(pid):
    """Pids whose parent it is, zombies included, oldest first."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat(entry)
            if fields and int(fields[1]) == pid:
                found.append((int(fields[19]), int(entry)))
    return [child for _, child in sorted(found)]


def descendants(pid):
    """Pids below it, at any depth."""
    found, left = [], [pid]
    while left:
        below = children(left.pop())
        found += below
        left += below
    return found


def kill(pid, number=signal.SIGKILL):
    """Sends a signal; a process that is gone already is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
