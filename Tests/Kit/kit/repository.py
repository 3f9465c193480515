"""A real git repository of a small service in C: each version is one commit, and a deploy's build step compiles it."""

import os
import pathlib
import shutil
import subprocess

from kit import programs

BUILD = """#!/bin/sh
# What the settings name as the build: warnings count, as in any project that cares.
set -eu
echo "compiling $(git rev-parse --short HEAD 2>/dev/null || echo the service)"
gcc -std=gnu17 -D_GNU_SOURCE -O0 -pthread -o main all.c
"""

VERSION = """// What tells this version from the others; the program reads its options from the environment as well.
#include <stdlib.h>

__attribute__((constructor)) static void version(void) {{
{lines}
}}
"""

IDENTITY = {
    "GIT_AUTHOR_NAME": "A Developer", "GIT_AUTHOR_EMAIL": "developer@example.org",
    "GIT_COMMITTER_NAME": "A Developer", "GIT_COMMITTER_EMAIL": "developer@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
}  # fmt: skip


class Repository:
    """Made in an empty folder of this host (which may be one of a machine, seen from outside)."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        sources = programs.ROOT / "Tests/Fixtures/service"
        shutil.copytree(sources, self.folder / "service", copy_function=shutil.copyfile)
        # As one unit: a deploy's test waits for the compiler a third of the time.
        parts = [*sorted(f"service/{each.name}" for each in sources.glob("*.c")), "version.c"]
        self.write("all.c", "".join(f'#include "{part}"\n' for part in parts))
        self.write("build.sh", BUILD, executable=True)
        self.write(".gitignore", "main\n*.o\n")

    def git(self, *arguments, check=True):
        done = subprocess.run(
            ["git", "-C", str(self.folder), "-c", "safe.directory=*", *map(str, arguments)], capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **IDENTITY})  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"git {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout.strip()

    def write(self, name, text, executable=False):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if executable else 0o644)

    def remove(self, name):
        self.git("rm", "-r", "--quiet", name)

    def commit(self, text):
        """Commits what lies there and returns the commit's full name."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", text)
        return self.git("rev-parse", "HEAD")

    # Versions

    def version(self, name, **options):
        """A version that answers with its name; other options as fixture-service has them, misbehave="answers-500"."""
        options = {"version-text": name, **{key.replace("_", "-"): value for key, value in options.items()}}
        lines = "\n".join(
            f'  setenv("FIXTURE_{key.replace("-", "_").upper()}", "{value}", 1);' for key, value in options.items())
        self.write("version.c", VERSION.format(lines=lines))
        self.write("VERSION", name + "\n")
        return self.commit(f"version {name}")

    def bad(self, name="bad", misbehaviour="answers-500", counts=None, **options):
        """A version that starts and is no good; it counts whom it meets in a file of its own."""
        return self.version(name, misbehave=misbehaviour, **({"count_file": counts} if counts else {}), **options)

    def broken(self, name="broken"):
        """One that no compiler takes."""
        self.write("version.c", "#error this version is broken on purpose\n")
        self.write("VERSION", name + "\n")
        return self.commit(f"version {name}")
