"""What every measure gets: the tools, a directory, how long to take, and whom to measure."""

import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile

from .stamps import Stuck

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(HERE)

# What a supervisor works with lies in /run, which is memory: sockets, pipes and marks of its workers. Of batond's ledger the
# disk is part.
RUN = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Tools:
    """The program under measure, and the ones that measure."""

    def __init__(self, build, directory):
        self.swift = ["swift", "build", "-c", "release", "--static-swift-stdlib", "-j", "2", "--package-path", ROOT]
        self.may_build = build
        binaries = subprocess.run([*self.swift, "--show-bin-path"], check=True, stdout=subprocess.PIPE, text=True)
        self.batond, self.baton = (os.path.join(binaries.stdout.strip(), name) for name in ("batond", "baton"))
        self.directory = directory
        # The package's own build links Swift's and C++'s libraries into every program, which makes each start of one
        # dearer than a start of batond's worker has to be.
        fixtures = os.path.join(ROOT, "Tests", "Fixtures")
        self.service = self.compile("fixture-service", glob.glob(os.path.join(fixtures, "service", "*.c")))
        self.load = self.compile("fixture-load", glob.glob(os.path.join(fixtures, "load", "*.c")))
        self.floor = self.compile("floor", [os.path.join(HERE, "floor.c")])

    def build(self, product):
        """What a measure is about, before it begins."""
        if self.may_build:
            print(f"building {product} …", file=sys.stderr, flush=True)
            subprocess.run([*self.swift, "--product", product], check=True, stdout=sys.stderr)

    def compile(self, name, sources):
        program = os.path.join(self.directory, name)
        compiler = shutil.which("cc") or shutil.which("clang") or "cc"
        subprocess.run([compiler, "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-pthread", "-o", program, *sources], check=True)
        return program


class Bench:
    def __init__(self, tools, directory, quick, only):
        self.tools, self.directory, self.quick, self.only = tools, directory, quick, only
        # In front of each program that is measured by how long it takes.
        self.first = []

    def times(self, long, quick):
        return quick if self.quick else long

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def place(self):
        with tempfile.TemporaryDirectory(dir=self.directory, ignore_cleanup_errors=True) as place:
            yield place

    @contextlib.contextmanager
    def running(self, measure, kinds, workers, arguments=(), start=True, **options):
        """The subjects that are there, started, side by side; ended afterwards whatever happened."""
        with tempfile.TemporaryDirectory(prefix="baton-bench-", dir=RUN, ignore_cleanup_errors=True) as place:
            subjects = []
            try:
                for kind in kinds:
                    self.add(measure, subjects, kind, place, workers, arguments, start, options)
                yield subjects
            finally:
                for subject in subjects:
                    subject.clean_up()

    def add(self, measure, subjects, kind, place, workers, arguments, start, options):
        if self.only and kind.name not in self.only:
            return
        missing = kind.missing()
        if missing:
            measure.left_out[kind.name] = f"{missing} is not installed"
            return
        subject = kind(self.tools, place, workers, arguments, **options)
        subjects.append(subject)
        if start:
            with self.or_left_out(measure, subjects, subject):
                subject.start()

    @contextlib.contextmanager
    def or_left_out(self, measure, subjects, subject):
        """A subject that gets stuck is named with the reason and takes no further part."""
        try:
            yield
        except (Stuck, OSError, subprocess.TimeoutExpired) as error:
            with open(os.path.join(subject.directory, "log"), "rb") as log:
                last = log.read()[-400:].decode(errors="replace").strip().splitlines()[-3:]
            measure.left_out[subject.name] = " | ".join([str(error), *last])
            subjects.remove(subject)
            subject.clean_up()
