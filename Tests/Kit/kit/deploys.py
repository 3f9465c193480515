"""A service that is deployed from a real git repository, by the user who runs the tests."""

import contextlib
import json
import os
import pathlib
import pwd
import signal
import subprocess

from kit import programs, supervisor
from kit.waiting import wait_until

GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t",
    "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t",
}  # fmt: skip


def git(folder, *arguments):
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **GIT},
    ).stdout.strip()  # fmt: skip


class Deployed:
    """The settings (`of`), the repository, and the command `baton` for them."""

    def __init__(self, of, running=None):
        self.of, self.running = of, running
        self.repository = of.folder / "repository"
        self.repository.mkdir()
        git(self.repository, "init", "--quiet", "--initial-branch", "main")
        self.deploy = {
            "repository": self.repository, "user": pwd.getpwuid(os.geteuid()).pw_name, "artifacts": ["serve"],
        }  # fmt: skip
        self.health, self.bake = None, {"for": "0s"}
        self.more = {}

    # What is deployed

    def program(self, *options):
        """The text of a program `serve` that answers as fixture-service does with these options."""
        words = " ".join(f"'{word}'" for word in self.of.fixture(*options))
        return f"#!/bin/sh\nexec {words}\n"

    def commit(self, files, message="change"):
        """Writes files into the repository (None removes one) and commits all; returns the commit."""
        for name, text in files.items():
            path = self.repository / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if text.startswith("#!") else 0o644)
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--allow-empty", "--message", message)
        return git(self.repository, "rev-parse", "HEAD")

    def version(self, name, *options):
        """Commits a version whose answers carry `name`."""
        return self.commit({"serve": self.program("--version-text", name, *options)}, name)

    # Where it lies

    @property
    def directory(self):
        return self.of.app

    @property
    def current(self):
        """The release `current` names."""
        return os.readlink(self.directory / "current").rpartition("/")[2]

    def operations(self):
        """The latest last: within a second their names say nothing."""
        found = (self.directory / "deploys").glob("*/request.json")
        return [path.parent.name for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def tree(self):
        """Everything below the directory: name to content or kind, to be compared. SQLite's readers leave files of theirs."""
        found = {}
        for path in sorted(self.directory.rglob("*")):
            if not path.name.endswith(("-shm", "-wal")):
                link = os.readlink(path) if path.is_symlink() else None
                found[str(path.relative_to(self.directory))] = link or (
                    path.read_bytes() if path.is_file() else path.stat().st_mode)
        return found

    # baton

    def write(self):
        sections = {"deploy": self.deploy, "health": self.health, "bake": self.bake, **self.more}
        self.of.more = {title: entries for title, entries in sections.items() if entries is not None}
        self.of.write()

    def command(self, *arguments):
        self.write()
        found = [programs.path("baton"), *map(str, arguments), "--settings", str(self.of.file)]
        if self.running and arguments[0] in ("deploy", "rollback", "preflight"):
            found += ["--control", str(self.running.control)]
        return found

    def environment(self, more=None):
        return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(more or {})}

    def baton(self, *arguments, within=60, **options):
        """Runs it to its end."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=within, env=self.environment(), **options)

    def start(self, *arguments, **options):
        """Runs it without waiting, in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment(), start_new_session=True, **options,
        )  # fmt: skip

    def deployed(self, *arguments, within=60):
        """A deploy that must succeed; its verdict."""
        done = self.baton("deploy", "--foreground", "--json", *arguments, within=within)
        if done.returncode:
            raise AssertionError(f"the deploy ended with {done.returncode}:\n{done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def history(self):
        return json.loads(self.baton("history", "--json").stdout)["operations"]

    def hosts(self):
        """Processes that work on an operation of this service."""
        found = []
        # A glob would fail on a process that ends while it looks.
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"run-operation" in words and str(self.of.file).encode() in words:
                    found.append(int(pid))
        return found

    def wait_said(self, text, within=20):
        """Until the log of the latest operation has the text."""

        def look():
            logs = [self.directory / "deploys" / name / "output.log" for name in self.operations()]
            return logs and logs[-1].exists() and text in logs[-1].read_text()

        wait_until(look, within, f"{text!r} in the log of the operation")

    def wait_idle(self, within=20):
        wait_until(lambda: not self.hosts(), within, "the operation to end")

    def end(self):
        for pid in self.hosts():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def deployed(change=None, user=None):
    """A service that batond runs from its directory, with a repository whose releases are to come."""
    with supervisor.service(user) as made:
        serve = made.app / "serve"
        serve.write_text(f"#!/bin/sh\nexec {made.program} --version-text none\n")
        serve.chmod(0o755)
        made.engines["web"]["command"] = ["./serve"]
        with supervisor.Supervisor(made) as running:
            deploy = Deployed(made, running)
            deploy.version("one")
            if change:
                change(deploy)
            try:
                yield deploy
            finally:
                deploy.end()
