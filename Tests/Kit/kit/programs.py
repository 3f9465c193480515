"""Where the built programs are."""

import os
import pathlib
import shutil
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]


def folder():
    """`$BATON_BIN`, else the release build of this checkout."""
    return pathlib.Path(os.environ.get("BATON_BIN") or ROOT / ".build/release")


def path(name):
    """A program of this project. A test without it is skipped by name, never silently passed."""
    program = folder() / name
    if not program.exists():
        raise unittest.SkipTest(f"{program} is not built (scripts/build)")
    return str(program)


def tool(name, *places):
    """A program of the system: on PATH, or in one of the places (glob patterns, the last match wins)."""
    found = shutil.which(name)
    for place in places:
        matches = sorted(pathlib.Path("/").glob(f"{place.lstrip('/')}/{name}"))
        found = found or (matches and str(matches[-1]))
    if not found:
        raise unittest.SkipTest(f"{name} is not installed (scripts/setup)")
    return found
