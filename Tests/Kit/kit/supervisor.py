"""batond in the foreground, in a folder of its own, gone at the end of the `with` block whatever happened."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from kit import fixtures, http, proc, programs, varlink
from kit.settings import Settings
from kit.waiting import wait_until


class Service(Settings):
    """A service's settings, and the folder everything of it lives in. `port` is one that was free."""

    def __init__(self, folder, user=None):
        self.folder = pathlib.Path(folder)
        self.app = self.folder / "app"
        self.app.mkdir()
        user = user or pwd.getpwuid(os.geteuid()).pw_name
        super().__init__(programs.path("fixture-service"), self.folder, http.free_port(), self.app, user)

    @property
    def file(self):
        return self.folder / "t.toml"

    @property
    def stamps(self):
        return self.folder / "stamps"

    def counts(self):
        """What all versions were asked, but those of `bad`."""
        return fixtures.counts(self.folder / "counts")

    @property
    def bad_counts(self):
        return self.folder / "bad"

    def write(self, text=None):
        self.file.write_text(self.text() if text is None else text)


@contextlib.contextmanager
def service(user=None):
    """A Service in a temporary folder that anyone may enter."""
    folder = tempfile.mkdtemp(prefix="baton-test-")
    os.chmod(folder, 0o755)
    try:
        if user:
            shutil.chown(folder, user)
        made = Service(folder, user)
        if user:
            shutil.chown(made.app, user)
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Supervisor:
    """A running batond.

    `prefix` stands before its command (setpriv …); `environment` is added to an environment that holds PATH alone;
    `program` is another file to start than the batond that is tested.
    """

    def __init__(self, of, prefix=(), environment=None, arguments=(), inherit=(), program=None):
        self.of = of
        self.program = str(program or programs.path("batond"))
        self.prefix, self.arguments, self.inherit = list(prefix), list(arguments), tuple(inherit)
        self.environment = {"PATH": os.environ["PATH"], **(environment or {})}
        self.runtime = of.folder / "run"
        self.state = of.folder / "state"
        self.control = self.runtime / "control"
        self.log_file = of.folder / "log"
        self.process = None

    # Life

    def start(self):
        """Starts it, without waiting for anything."""
        self.of.write()
        command = [
            *self.prefix, self.program, "--settings", str(self.of.file), "--runtime-directory",
            str(self.runtime), "--state-directory", str(self.state), *self.arguments,
        ]  # fmt: skip
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, cwd="/",
                pass_fds=self.inherit, start_new_session=True,
            )  # fmt: skip
        return self

    def __enter__(self):
        self.start()
        try:
            self.wait_serving()
        except BaseException:
            self.end()
            self._show_log()
            raise
        return self

    def __exit__(self, kind, *_):
        self.end()
        if kind is not None:
            self._show_log()

    def end(self):
        """An orderly stop, or by force when that does not come to an end."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                for pid in [self.process.pid, *proc.descendants(self.process.pid)]:
                    proc.kill(pid)
                self.process.wait()

    def _show_log(self):
        print(f"--- {self.of.file}\n{self.of.text()}\n--- the supervisor's log\n{self.log()[-8000:]}")

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_serving(self, within=20):
        """Until a generation serves; ends at once when batond does."""

        def serving():
            if self.process.poll() is not None:
                raise AssertionError(f"batond ended with {self.process.returncode}")
            try:
                return self.status()["state"] in ("serving", "degraded")
            except (FileNotFoundError, ConnectionRefusedError):
                return False

        wait_until(serving, within, lambda: f"batond to serve; its log:\n{self.log()[-3000:]}")

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, within=60):
        """An orderly stop; returns (exit status, seconds it took)."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        return self.wait(within), time.monotonic() - began

    def wait(self, within=60):
        """Until batond has ended; its exit status, negative for a signal."""
        return self.process.wait(within)

    # Talk

    def call(self, method, within=30, **parameters):
        return varlink.call(self.control, method, within, **parameters)

    def status(self):
        return self.call("Status")

    def workers(self, engine="web", state=None):
        """The workers of an engine as Status shows them, those of draining generations included."""
        found = next(each for each in self.status()["engines"] if each["name"] == engine)["workers"]
        return [each for each in found if state in (None, each["state"])]

    def pids(self, engine="web"):
        """Of the workers of the serving generation that are ready."""
        status = self.status()
        found = next(each for each in status["engines"] if each["name"] == engine)["workers"]
        return [
            each["pid"] for each in found if each["state"] == "ready" and each["generation"] == status.get("serving")]

    def reload(self, within=60):
        """Rewrites the settings, reloads, and returns the verdict of a reload that was done."""
        self.of.write()
        return self.call("Reload", within, wait=True)["verdict"]

    def let_drain(self, most=4):
        """Waits until one more generation may drain: of more than `most` (handover.max-draining) the oldest is killed, and
        what it was answering is cut."""
        self.wait_status(lambda seen: len(seen["draining"]) < most, 30, "old generations to be gone")

    def refused(self, within=60):
        """Rewrites the settings, reloads, and returns the verdict of a reload that must fail."""
        try:
            verdict = self.reload(within)
        except varlink.VarlinkError as error:
            if error.name != "Failed":
                raise
            return error.parameters
        raise AssertionError(f"the reload was not refused: {verdict}")

    def baton(self, *arguments, within=60):
        """Runs `baton` against this supervisor; its CompletedProcess."""
        return subprocess.run(
            [programs.path("baton"), *arguments, "--control", str(self.control)], capture_output=True, text=True,
            timeout=within, env=self.environment,
        )  # fmt: skip

    def wait_for_log(self, text, within=10):
        wait_until(lambda: text in self.log(), within, lambda: f"{text!r} in the log:\n{self.log()[-2000:]}")

    def wait_status(self, condition, within=10, what="a state"):
        """The first status that fulfils the condition."""

        def look():
            seen = self.status()
            return seen if condition(seen) else None

        return wait_until(look, within, lambda: f"{what}; status is {self.status()}")


@contextlib.contextmanager
def running(change=None, user=None, **options):
    """A service that serves. `change(service)` alters its settings before the start."""
    with service(user) as made:
        if change:
            change(made)
        with Supervisor(made, **options) as supervisor:
            yield supervisor
