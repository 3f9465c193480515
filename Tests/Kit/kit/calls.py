"""What a process does to the world, as the kernel saw it, beside what it says that it does: see kit.faults."""

import collections
import re
import subprocess

from kit import programs

CHANGES = (
    "rename,renameat,renameat2,unlink,unlinkat,rmdir,symlink,symlinkat,link,linkat,mkdir,mkdirat,mknod,mknodat,truncate,"
    "ftruncate,fallocate,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,setxattr,fsync,fdatasync,syncfs,sync,"
    "mount,umount2,utimensat,copy_file_range,sendfile"
)
PROCESSES = ("fork", "vfork", "clone", "clone3")
WRITES = ("write", "writev", "pwrite64", "sendto", "sendmsg")
TRACED = (
    f"{CHANGES},open,openat,creat,execve,kill,tgkill,tkill,pidfd_send_signal,connect,{','.join(PROCESSES)},{','.join(WRITES)}"
)
LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
# What is asked of batond and of systemd by these changes something; all else that goes through a socket is a question.
# What an effect of this kind must have asked of the kernel before it is done: else a power cut takes it back.
SYNCS = ("fsync", "fdatasync", "syncfs")
LASTING = (
    (r"record \S+/steps\.jsonl: ", SYNCS), (r"sync ", SYNCS), (r"rename \S+$", ("rename", "renameat", "renameat2")),
    (r"write \S+(\.manifest|\.jsonl|gitconfig|\.tar\.zst|-app\.db|/sources/\.tmp-\S+)$", SYNCS),
)  # fmt: skip
ORDERS = re.compile(
    r'\.(Reload|Restart|Stop|Start|Scale|CommitHandover|AbortHandover|Commit|Abort|Upgrade)\\?"'
    r"|(Start|Stop|Reload|Restart|ReloadOrRestart|Kill|ResetFailed)Unit"
)


def traced(ground, *arguments, word="run-operation"):
    """Runs `baton ARGUMENTS` under strace; its CompletedProcess, and a Reader of what the process with this word among its
    arguments, its threads included, did to the world."""
    folder = ground.deploy.of.folder
    log, trace = folder / "points", folder / "trace"
    log.unlink(missing_ok=True)
    done = subprocess.run(
        [programs.tool("strace"), "-f", "-qq", "-y", "-s", "400", "-o", str(trace), "-e", f"trace={TRACED}",
         *ground.deploy.command(*arguments)], capture_output=True, text=True, timeout=120,
        env=ground.deploy.environment({"BATON_FAULT_LOG": str(log), "BATON_FAULT_IN": word}),
    )  # fmt: skip
    reader = Reader(str(log), word)
    for line in trace.read_text(errors="replace").splitlines():
        reader.read(line)
    return done, reader


class Reader:
    """Goes through a trace once. `outside` has (call, text) of each change outside of every effect, a command that was begun
    there as its execve; `inside` counts the calls within effects, `orders` what was asked of others there."""

    def __init__(self, log, word):
        self.log, self.word = log, word
        self.threads, self.is_inside = set(), False
        self.found, self.inside, self.orders = [], collections.Counter(), 0
        # The effect under way and its calls; effects that were over before what must last was on the disk.
        self.effect, self.calls, self.lost = "", set(), []
        # Calls that have not returned; children that began outside of an effect; what a process became first.
        self.begun, self.children, self.became = {}, [], {}

    def read(self, line):
        if resumed := RESUMED.match(line):
            if kind := self.begun.pop(resumed[1], None):
                self.born(kind, resumed[3])
        elif match := LINE.match(line):
            self.called(*match.groups())

    def called(self, pid, call, text):
        if call == "execve":
            if f'"{self.word}"' in text:
                self.threads.add(pid)
            self.became.setdefault(pid, text)
        if pid not in self.threads or call == "execve":
            return
        if call in PROCESSES:
            kind = "thread" if "CLONE_THREAD" in text else None if self.is_inside else "child"
            if text.endswith("<unfinished ...>"):
                self.begun[pid] = kind
            else:
                self.born(kind, text)
        elif call in WRITES and f"<{self.log}>" in text:
            self.turned(text.partition('"')[2].partition("\\n")[0])
        elif self.matters(call, text) and f'"{self.log}"' not in text:
            if self.is_inside:
                self.calls.add(call)
                self.inside[call] += 1
                self.orders += bool(ORDERS.search(text))
            else:
                self.found.append((call, text))

    def turned(self, line):
        """An effect begins or is over: `17 before rename /opt/x/current`."""
        _, side, words = line.split(" ", 2)
        self.is_inside = side == "before"
        if self.is_inside:
            self.effect, self.calls = words, set()
        else:
            for pattern, calls in LASTING:
                if re.match(pattern, words) and not self.calls & set(calls):
                    self.lost.append(words)

    def born(self, kind, text):
        pid = text.rpartition("= ")[2].strip()
        if kind == "thread":
            self.threads.add(pid)
        elif kind == "child":
            self.children.append(pid)

    @staticmethod
    def matters(call, text):
        if call in ("open", "openat"):
            return re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", text)
        if call in WRITES and not re.match(r"\d+</(?!dev/(?!shm/))", text):
            return ORDERS.search(text)
        # Signal 0 asks whether somebody is there.
        if call in ("kill", "pidfd_send_signal"):
            return not re.match(r"[^,]+, 0[,)]", text)
        return True

    @property
    def outside(self):
        return self.found + [("execve", self.became.get(pid, "nothing")) for pid in self.children]
