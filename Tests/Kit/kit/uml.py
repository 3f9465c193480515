"""A kernel of our own, with every controller of cgroup version 2: Debian's user-mode-linux, on this machine's files.

It is a process like any other and needs no right. The files are read through hostfs and cannot be written; /tmp and /run
are its own.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile

from kit import programs

INIT = """#!/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/tmp
mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
{seen}
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devtmpfs dev /dev 2>/dev/null; mkdir -p /dev/shm; mount -t tmpfs shm /dev/shm
ip link set lo up
cd /tmp
{command} </dev/null 2>&1
echo "status $? of the command"
echo o > /proc/sysrq-trigger
"""


def run(*command, within=120, memory="1024M"):
    """Boots it, runs the command as root in it, and returns (exit status, what it printed)."""
    kernel = programs.tool("linux.uml")
    # What lies in /dev it does not see.
    with tempfile.TemporaryDirectory(prefix="baton-uml-", dir="/tmp") as folder:
        init = os.path.join(folder, "init")
        with open(init, "w") as file:
            file.write(INIT.replace("{seen}", _seen()).replace("{command}", shlex.join(map(str, command))))
        os.chmod(folder, 0o755)
        os.chmod(init, 0o755)
        try:
            done = subprocess.run(
                [kernel, f"mem={memory}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}",
                 "con=null", "con0=null,fd:1", "quiet", f"uml_dir={folder}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                timeout=within, env={"TMPDIR": folder, "PATH": os.environ["PATH"], "HOME": folder},
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            said = late.stdout or b""
            said = said if isinstance(said, str) else said.decode(errors="replace")
            raise AssertionError(f"not done after {within} s:\n{said[-5000:]}") from None
    said = done.stdout.replace("\r", "")
    status = re.search(r"^status (\d+) of the command$", said, re.MULTILINE)
    if not status:
        raise AssertionError(f"it did not come to its end:\n{said[-5000:]}")
    return int(status[1]), said


def _seen():
    """Commands that show what is tested also where it lies in a directory that the kernel has of its own."""
    hidden = {place for place in (programs.ROOT, programs.folder().resolve()) if place.parts[1] in ("tmp", "run")}
    return "\n".join(
        f"mkdir -p {place}; mount -t hostfs -o ro,{place} none {place}" for place in map(shlex.quote, map(str, sorted(hidden))))


def tests(folder, within=200):
    """Runs the tests of a folder in it, with the programs that are tested here."""
    return run(
        sys.executable, "-B", programs.ROOT / "Tests/Kit/run.py", programs.ROOT / "Tests" / folder, "--bin",
        programs.folder().resolve(), "-j", "1", within=within)  # fmt: skip
