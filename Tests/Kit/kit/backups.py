"""A service's directory with one release, for `baton backup` by itself."""

import contextlib
import hashlib
import os
import pathlib
import pwd
import stat
import subprocess
import tempfile

from kit import programs


def manifest(release, tree):
    lines = []
    for path in sorted(tree.rglob("*"), key=lambda each: each.relative_to(tree).parts):
        name, mode = path.relative_to(tree).as_posix(), stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            lines.append(f"d {mode:o} {name}\n")
        else:
            lines.append(f"f {mode:o} {path.stat().st_size} {hashlib.sha256(path.read_bytes()).hexdigest()} {name}\n")
    items = "".join(lines)
    text = (
        f"baton-manifest 1\nrelease {release}\noperation test\nmade 2026-01-01T00:00:00Z\nwho test\nsource test\n"
        f"items {len(lines)}\ntree {hashlib.sha256(items.encode()).hexdigest()}\n\n{items}"
    )
    return text + f"end {hashlib.sha256(text.encode()).hexdigest()}\n"


def digest(tree):
    found = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        found.update(f"{path.relative_to(tree)} {stat.S_IMODE(path.lstat().st_mode):o}\n".encode())
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


class Service:
    release = "20260101T000000Z-none-0001"

    def __init__(self, folder):
        self.folder, self.directory = pathlib.Path(folder), pathlib.Path(folder) / "app"
        self.settings = self.folder / "app.toml"
        user = pwd.getpwuid(os.geteuid()).pw_name
        for name in ("releases", "shared/data", "backups", "deploys"):
            (self.directory / name).mkdir(parents=True)
        self.settings.write_text(
            f'[service]\nuser = "{user}"\ndirectory = "{self.directory}"\n[engine.web]\ncommand = ["./main"]\n'
            f'[deploy]\nuser = "{user}"\n[backup]\nkeep = 3\nshared = ["data"]\n'
        )
        self.tree = self.directory / "releases" / self.release
        (self.tree / "lib").mkdir(parents=True)
        for number in range(40):
            (self.tree / "lib" / f"{number}.txt").write_text(f"{number} " * 2_000)
        (self.tree / "main").write_text("#!/bin/sh\n")
        (self.directory / "shared/data/upload").write_text("upload")
        self.serve()

    def serve(self):
        (self.directory / f"releases/{self.release}.manifest").write_text(manifest(self.release, self.tree))
        with contextlib.suppress(FileNotFoundError):
            (self.directory / "current").unlink()
        (self.directory / "current").symlink_to(f"releases/{self.release}")

    def baton(self, *words, **environment):
        return subprocess.run(
            [programs.path("baton"), "backup", *words, "--settings", str(self.settings)], capture_output=True, text=True,
            timeout=60, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
        )  # fmt: skip

    @property
    def archives(self):
        return sorted(name for name in os.listdir(self.directory / "backups") if not name.startswith("."))

    def clear(self):
        for name in os.listdir(self.directory / "backups"):
            (self.directory / "backups" / name).unlink()


@contextlib.contextmanager
def service(below=None):
    with tempfile.TemporaryDirectory(prefix="baton-backup-", dir=below) as folder:
        yield Service(folder)
