"""Backups of a large tree, made and unpacked, beside tar with the same compression."""

import contextlib
import hashlib
import json
import os
import pwd
import random
import shutil
import subprocess
import time

from ..figures import Figure
from ..memory import PeakMemory
from ..report import Measure, Target

FILES, BYTES, LEVEL = 20_000, 309_000_000, 3
WHERE = ("/usr/lib/python3", "/usr/lib/python3.11", "/usr/share/perl", "/usr/bin", "/usr/lib/x86_64-linux-gnu")


class Subject:
    def __init__(self, name, note=None):
        self.name, self.note = name, note


BATON = Subject("baton", "all of it: process, lock, hashes, sync, read back and compared")
WRITING = Subject("baton, writing alone", "as tar does: nothing synced, nothing read back")
TAKEN_OVER = Subject("baton, next release", "1 % of the files changed since the last backup")
SAME = Subject("baton, same release", "it is verified and named")


def pool(size):
    """Programs and texts of this host, so that they compress as programs and texts do."""
    data = bytearray()
    for top in WHERE:
        for folder, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    if not os.path.islink(path) and os.path.isfile(path) and os.path.getsize(path) < 4 << 20:
                        with open(path, "rb") as file:
                            data += file.read()
                if len(data) > size:
                    return bytes(data)
    return bytes(data)


def write(path, size, source, dice):
    with open(path, "wb") as file:
        while size > 0:
            part = min(size, dice.randrange(2_000, 300_000))
            place = dice.randrange(len(source) - part)
            file.write(source[place:place + part] if dice.random() < 0.93 else dice.randbytes(part))
            size -= part


class Tree:
    def __init__(self, top):
        self.top, self.dice, self.source = top, random.Random(7), pool(160 << 20)
        sizes = [self.dice.lognormvariate(8.3, 1.5) + 1 for _ in range(FILES)]
        scale = BYTES / sum(sizes)
        self.paths = []
        for number, size in enumerate(sizes):
            folder = os.path.join(top, f"d{number % 40:02d}", f"e{number // 40 % 25:02d}")
            os.makedirs(folder, exist_ok=True)
            self.paths.append(os.path.join(folder, f"file-{number:05d}.dat"))
            write(self.paths[-1], max(1, int(size * scale)), self.source, self.dice)

    def change(self, share):
        for path in self.dice.sample(self.paths, int(len(self.paths) * share)):
            write(path, os.path.getsize(path), self.source, self.dice)


def manifest(release, tree):
    """What baton writes beside a release."""
    lines = []
    for folder, folders, names in os.walk(tree):
        relative = os.path.relpath(folder, tree)
        for name in folders:
            lines.append((os.path.normpath(os.path.join(relative, name)), "d 755 {}\n"))
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            lines.append((os.path.normpath(os.path.join(relative, name)), f"f 644 {os.path.getsize(path)} {digest} {{}}\n"))
    # As a walk through sorted directories meets them.
    items = "".join(line.format(path) for path, line in sorted(lines, key=lambda each: each[0].split("/")))
    tree_hash = hashlib.sha256(items.encode()).hexdigest()
    head = (f"baton-manifest 1\nrelease {release}\noperation bench\nmade 2026-01-01T00:00:00Z\nwho bench\nsource bench\n"
            f"items {len(lines)}\ntree {tree_hash}\n\n")
    text = head + items
    return text + f"end {hashlib.sha256(text.encode()).hexdigest()}\n"


class Service:
    def __init__(self, bench, place):
        self.bench, self.directory = bench, os.path.join(place, "app")
        self.settings = os.path.join(place, "app.toml")
        user = pwd.getpwuid(os.geteuid()).pw_name
        for name in ("releases", "shared", "backups", "deploys"):
            os.makedirs(os.path.join(self.directory, name))
        with open(self.settings, "w") as file:
            file.write(f'[service]\nuser = "{user}"\ndirectory = "{self.directory}"\n[engine.web]\ncommand = ["./main"]\n'
                       f'[deploy]\nuser = "{user}"\n[backup]\nlevel = {LEVEL}\n')

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def serve(self, release):
        with open(self.path("releases", f"{release}.manifest"), "w") as file:
            file.write(manifest(release, self.path("releases", release)))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("current"))
        os.symlink(f"releases/{release}", self.path("current"))

    def baton(self, *words):
        """Seconds, and what it printed."""
        began = time.monotonic()
        done = subprocess.run([*self.bench.first, *self.line(words)], check=True, stdout=subprocess.PIPE)
        return time.monotonic() - began, json.loads(done.stdout)

    def line(self, words):
        return [self.bench.tools.baton, *words, "--settings", self.settings, "--json"]

    def memory(self, *words):
        """MB, of one that nobody times."""
        with PeakMemory(*self.line(words)) as memory:
            self.baton(*words)
        return memory.most

    def forget_backups(self):
        for name in os.listdir(self.path("backups")):
            os.unlink(self.path("backups", name))


def timed(bench, line, place):
    began = time.monotonic()
    subprocess.run([*bench.first, "bash", "-c", f"set -o pipefail; {line}"], cwd=place, check=True)
    return time.monotonic() - began


def archives(bench):
    bench.tools.build("baton")
    measure = Measure(
        "deploy-archives", f"A release of {FILES:,} files, {BYTES // 1_000_000} MB: archived, and unpacked again",
        [Target("writing ÷ tar -czf", 1 / 8), Target("writing ÷ tar | zstd -T0", 1.1),
         Target("unpacking ÷ tar --zstd -x", 1.2)], of="baton")
    rounds = bench.times(7, 3)
    with bench.place() as place:
        service = Service(bench, place)
        first, second = "20260101T000000Z-none-0001", "20260102T000000Z-none-0002"
        bench.say("deploy-archives: making the tree")
        tree = Tree(service.path("releases", first))
        times = {}

        def note(name, seconds):
            times.setdefault(name, []).append(seconds)

        for turn in range(rounds):
            bench.say(f"deploy-archives {turn + 1} of {rounds}")
            releases = service.path("releases")
            service.serve(first)
            if turn == 0:
                note("tar -czf", timed(bench, f"tar -C {releases} -czf plain.tar.gz {first}", place))
            note("tar | zstd -T0", timed(bench, f"tar -C {releases} -cf - {first} | zstd -q -T0 -{LEVEL} -f -o plain.tar.zst", place))
            note("tar --zstd", timed(bench, f"tar -C {releases} --zstd -cf other.tar.zst {first}", place))
            service.forget_backups()
            seconds, made = service.baton("backup", "create")
            note("baton", seconds)
            note("writing", made["writingMs"] / 1e3)
            note("syncing", made["syncingMs"] / 1e3)
            note("reading back", made["readingBackMs"] / 1e3)
            archive = made["archive"]
            size = os.path.getsize(service.path("backups", archive))
            note("same", service.baton("backup", "create")[0])
            os.mkdir(os.path.join(place, "out"))
            note("tar --zstd -x", timed(bench, "tar -C out --zstd -xf plain.tar.zst", place))
            shutil.rmtree(os.path.join(place, "out"))
            unpacked = os.path.join(place, "restored")
            seconds, restored = service.baton("backup", "restore", "--archive", archive, "--to", unpacked)
            note("restore", seconds)
            note("unpacking", restored["unpackingMs"] / 1e3)
            shutil.rmtree(unpacked)
            # The next release: its own files, most of them with the same contents.
            shutil.copytree(service.path("releases", first), service.path("releases", second))
            changed = object.__new__(Tree)
            changed.top, changed.dice, changed.source = second, random.Random(turn), tree.source
            changed.paths = [path.replace(first, second) for path in tree.paths]
            changed.change(0.01)
            service.serve(second)
            seconds, made = service.baton("backup", "create")
            note("next", seconds)
            note("next writing", made["writingMs"] / 1e3)
            shutil.rmtree(service.path("releases", second))
        service.serve(first)
        service.forget_backups()
        memory = {"making": service.memory("backup", "create")}
        (archive,) = os.listdir(service.path("backups"))
        unpacked = os.path.join(place, "restored")
        memory["unpacking"] = service.memory("backup", "restore", "--archive", archive, "--to", unpacked)
        gz = times["tar -czf"][0]
        for name in ("tar -czf", "tar --zstd", "tar | zstd -T0"):
            measure.set(Subject(name), "archived in", Figure(times[name], "s", 2))
        measure.set(Subject("tar | zstd -T0"), "unpacked in", Figure(times["tar --zstd -x"], "s", 2))
        measure.set(Subject("tar | zstd -T0"), "MB", round(os.path.getsize(os.path.join(place, "plain.tar.zst")) / 1e6))
        measure.set(BATON, "archived in", Figure(times["baton"], "s", 2))
        measure.set(BATON, "unpacked in", Figure(times["restore"], "s", 2))
        measure.set(BATON, "MB", round(size / 1e6))
        for name in ("syncing", "reading back"):
            measure.set(BATON, name, Figure(times[name], "s", 2))
        measure.set(BATON, "writing ÷ tar -czf", Figure([each / gz for each in times["writing"]], "", 3))
        ratios = [ours / theirs for ours, theirs in zip(times["writing"], times["tar | zstd -T0"])]
        measure.set(BATON, "writing ÷ tar | zstd -T0", Figure(ratios, "", 2))
        ratios = [ours / theirs for ours, theirs in zip(times["unpacking"], times["tar --zstd -x"])]
        measure.set(BATON, "unpacking ÷ tar --zstd -x", Figure(ratios, "", 2))
        measure.set(WRITING, "archived in", Figure(times["writing"], "s", 2))
        measure.set(WRITING, "unpacked in", Figure(times["unpacking"], "s", 2))
        measure.set(TAKEN_OVER, "archived in", Figure(times["next"], "s", 2))
        measure.set(SAME, "archived in", Figure(times["same"], "s", 2))
        for name, most in memory.items():
            measure.set(BATON, f"memory {name}", Figure([most], "MB", 0))
    return measure
