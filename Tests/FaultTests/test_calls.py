"""What an operation does to the world lies inside the effects that accidents are arranged around: asked of the kernel."""

import os
import re
import tempfile
import types
import unittest

from kit import programs
from kit.calls import traced
from kit.faultkinds import KINDS, Deploy
from kit.faults import DONE, ground, plain
from kit.runner import within
from test_adopt import Tree

# Outside of every effect: call and what it is done to; each with the reason why no accident there can matter.
EXCEPTIONS = (
    # What people read; lost lines change nothing, and nothing is decided by it.
    ("openat|write", r"/output\.log"),
    # Opened, not written: each record is an effect.
    ("openat", r"/steps\.jsonl\", O_RDWR\|O_CLOEXEC\)"),
    # By which others see that somebody is at work, and ask for an end: gone with the process.
    ("mknodat|openat|unlink", r"/abort"),
    # SQLite's own beginnings and ends of a database: what was committed is brought into the file. Its transactions are
    # effects: nothing is written to a -wal outside of one.
    ("openat|fchown|fchmod|ftruncate|fdatasync|unlink", r"(/ledger|DIR)\.db(-wal|-shm|-journal)?[\">]"),
    ("pwrite64", r"(/ledger|DIR)\.db(-shm)?>"),
    ("fdatasync", r"^N<DIR/deploys>\) = N$"),
    # Questions: to the supervisor (what it is told to do is an effect), to systemd, of names.
    ("connect", r"/run/control\"|/run/systemd/private|system_bus_socket|/nscd/|sin_port=htons\(PORT\)"),
    # git is asked.
    ("execve", r'^"/usr/bin/git", \["git", "(ls-files|ls-remote|rev-parse)", '),
    # What a command left of itself is ended once it has ended.
    ("kill", r"^-N, SIGKILL"),
    # git's scratch index of an export: never read by another operation.
    ("unlink", r"/deploys/\.tmp-OPERATION-index"),
)


class CallsCase(unittest.TestCase):
    maxDiff = None

    def check(self, each, *arguments, word="run-operation", gives_orders=True):
        done, seen = traced(each, *arguments, word=word)
        self.assertEqual(done.returncode, DONE, done.stderr)
        unknown = sorted({
            f"{call}({text}" for call, text in ((call, each.plain(text)) for call, text in seen.outside)
            if not any(re.fullmatch(calls, call) and re.search(what, text) for calls, what in EXCEPTIONS)
        })  # fmt: skip
        self.assertEqual(unknown, [], "a change to the world outside of effects.perform")
        self.assertEqual([each.plain(words) for words in seen.lost], [], "not on the disk when it counted as done")
        # It is seen at all: calls within effects, and what is asked of the supervisor.
        self.assertTrue({"fsync", "fdatasync"} & seen.inside.keys(), seen.inside)
        self.assertEqual(bool(seen.orders), gives_orders)


class Calls(CallsCase):
    """Of every kind of operation, of recovery, and of backups."""

    @within(120)
    def test_every_change_is_an_effect_of_recovery(self):
        with ground(Deploy()) as each:
            words = [point.words for point in each.points()]
            for last in ("intends verify", "did activate", "did mark-good"):
                number = next(count for count, word in enumerate(words, 1) if word.endswith(last))
                each.kind.arrange(each)
                each.run(*each.kind.arguments, fault=f"{number}:after:kill")
                self.check(each, "recover", word="recover", gives_orders=False)

    @within(120)
    def test_every_change_is_an_effect_of_a_backup_and_its_way_back(self):
        with ground(Deploy()) as each:
            self.check(each, "backup", "create", word="create", gives_orders=False)
            archive = max(path.name for path in (each.deploy.directory / "backups").glob("*.tar.zst"))
            folder = each.deploy.of.folder / "restored"
            self.check(each, "backup", "restore", "--archive", archive, "--to", str(folder), word="restore", gives_orders=False)


@unittest.skipUnless(os.geteuid() == 0, "adopting needs root")
class AdoptionCalls(CallsCase):
    """Of an adoption and its way back."""

    @within(120)
    def test_every_change_is_an_effect_of_an_adoption_and_its_way_back(self):
        with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
            tree = Tree(folder)
            each = types.SimpleNamespace(
                deploy=types.SimpleNamespace(
                    of=types.SimpleNamespace(folder=tree.folder),
                    command=lambda *words: [programs.path("baton"), *words, "--settings", str(tree.settings)],
                    environment=lambda more: {**os.environ, **more}),
                plain=lambda words: plain(words, ((tree.app, "DIR"), (folder, "HOME"), ("none", "PORT"))))  # fmt: skip
            self.check(each, "adopt", "--tree", str(tree.path), word="adopt", gives_orders=False)
            self.check(each, "adopt", "--undo", word="adopt", gives_orders=False)


def listed(kind):
    def test(self):
        with ground(kind()) as each:
            each.kind.arrange(each)
            self.check(each, *each.kind.arguments)

    return within(120)(test)


for each_kind in KINDS:
    setattr(Calls, f"test_every_change_is_an_effect_of_{each_kind.name.replace('-', '_')}", listed(each_kind))


if __name__ == "__main__":
    unittest.main()
