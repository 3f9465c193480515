"""A machine with baton installed as a user would, a real git repository, and a service that is deployed from it."""

import contextlib
import json
import os
import re
import tempfile

from kit import fixtures, machine, proc, toml
from kit.installed import HOME, Installed, layer
from kit.repository import Repository
from kit.waiting import wait_until

REPOSITORY = "/srv/repository"
DIRECTORY = f"{HOME}/app"
USER = "baton-deploy"


class DeploySettings:
    """`[deploy]` and what goes with it, for a Settings: tables that a test changes before it writes them."""

    def add_deploy(self, repository, health, user=None):
        self.deploy = {
            "repository": str(repository), "ref": "main", "user": user, "build": [["./build.sh"]], "artifacts": ["main"],
            "build-timeout": "60s",
        }  # fmt: skip
        self.health = {
            "check": [{"url": health, "status": [200], "timeout": "2s"}], "passes": 3, "interval": "50ms", "deadline": "10s",
        }  # fmt: skip
        self.bake, self.migrate, self.backup = {"for": "0s"}, {}, {}

    def deploy_text(self):
        parts = [(name, getattr(self, name)) for name in ("deploy", "health", "bake", "migrate", "backup")]
        return "\n".join(toml.table(name, entries) for name, entries in parts if entries)


class Deployed(DeploySettings, Installed):
    """The service `demo`, whose `web` is compiled by each deploy and answers with the name of its version."""

    deploy_unit = "baton-deploy@demo.service"

    def __init__(self, box, repository):
        super().__init__(box)
        self.repository = repository
        self.engines["web"] = self.compiled()
        self.add_deploy(REPOSITORY, f"http://127.0.0.1:{self.port}/health")

    def compiled(self, **keys):
        """The engine whose program lies in the release; what it counts and how it behaves its version says."""
        return self.web(**{"command": ["./main", "--stamp-file", f"{HOME}/stamps"], **keys})

    def text(self):
        return super().text() + "\n" + self.deploy_text()

    def prepare(self):
        super().prepare()
        self.machine.run("install", "-d", "-o", USER, "-g", USER, "-m", "755", DIRECTORY)
        self.machine.run("systemctl", "start", "polkit")
        self.write()

    # Versions

    def version(self, name, **options):
        """Commits a version. It counts whom it met in `counts`, or in the file that is named."""
        options.setdefault("count_file", f"{HOME}/counts")
        return self._owned(self.repository.version(name, **options))

    def bad_version(self, misbehaviour, name="bad", **options):
        """One that starts and is no good; it counts whom it met in `bad`."""
        return self._owned(self.repository.bad(name, misbehaviour, f"{HOME}/bad", **options))

    def broken_version(self):
        return self._owned(self.repository.broken())

    def _owned(self, commit):
        # git reads nobody's repository but one's own; a developer pushes as the user who serves it.
        self.machine.run("chown", "-R", f"{USER}:{USER}", REPOSITORY)
        return commit

    # Deploys

    def run(self, *arguments, check=True, within=90, environment=()):
        """`baton ARGUMENTS` in the machine, as root."""
        words = ("env", *environment, "baton", *arguments) if environment else ("baton", *arguments)
        done = self.machine.run(*words, check=False, within=within)
        if check and done.returncode != 0:
            raise AssertionError(f"baton {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}\n"
                                 f"{self.deploy_journal()}")  # fmt: skip
        return done

    def deploys(self, *arguments, **options):
        """A deploy that must end well, by the unit."""
        return self.run("deploy", "demo", *arguments, **options)

    def fails(self, *arguments, status=1, **options):
        """A deploy that must end with this status; its CompletedProcess."""
        done = self.run("deploy", "demo", *arguments, check=False, **options)
        if done.returncode != status:
            raise AssertionError(f"baton deploy ended with {done.returncode}, not {status}\n{done.stdout}{done.stderr}\n"
                                 f"{self.deploy_journal()}")  # fmt: skip
        return done

    def first(self, name="v1", **options):
        """The first release, deployed and served by the unit."""
        self.write()
        commit = self.version(name, **options)
        self.deploys("--no-rollback")
        self.wait_active()
        return commit

    def deploy_journal(self):
        self.machine.run("journalctl", "--sync", check=False)
        return self.machine.run(
            "journalctl", "--no-pager", "-n", "60", "-o", "cat", "-u", self.deploy_unit, "-u", self.unit, check=False).stdout

    # What it left

    def answered_by(self):
        answer = self.ask()
        return answer and answer.release

    @property
    def current(self):
        """The release `current` names, or None."""
        link = self.machine.path(f"{DIRECTORY}/current")
        return os.path.basename(os.readlink(link)) if os.path.lexists(link) else None

    def releases(self):
        """Releases as `baton releases --json` tells them."""
        return json.loads(self.run("releases", "demo", "--json").stdout)

    def names(self, folder):
        place = self.machine.path(f"{DIRECTORY}/{folder}")
        return sorted(os.listdir(place)) if place.exists() else []

    def operations(self):
        """Ids of operations, in their order."""
        return [name for name in self.names("deploys") if re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", name)]

    def steps(self, operation=None):
        """The records of an operation (the last one), as (entry, step)."""
        found = self.operations()
        operation = operation or (found[-1] if found else None)
        file = self.machine.path(f"{DIRECTORY}/deploys/{operation}/steps.jsonl")
        if operation is None or not file.exists():
            return []
        lines = []
        for line in file.read_bytes().decode(errors="replace").split("\n"):
            with contextlib.suppress(ValueError):
                entry = json.loads(line.strip("\0"))
                lines.append((entry["entry"], entry.get("step")))
        return lines

    def begin(self, *arguments, environment=()):
        """A deploy under way: its Popen."""
        return self.machine.start("env", *environment, "baton", "deploy", "demo", *arguments, stdout=-1, stderr=-1, text=True)

    def wait_step(self, entry, step, besides=(), within=60):
        """Until an operation that is not one of `besides` has this record; the operation."""

        def seen():
            return next((each for each in reversed(self.operations())
                         if each not in besides and (entry, step) in self.steps(each)), None)  # fmt: skip

        return wait_until(seen, within, lambda: f"{entry} {step}; there is {self.steps()}\n{self.deploy_journal()}", every=0.002)

    def kill_deploy(self):
        """SIGKILL to every process of the deploy unit."""
        self.machine.run("systemctl", "kill", "--kill-whom=all", "--signal=KILL", self.deploy_unit)

    def kill_workers(self):
        """SIGKILL to whoever works on an operation, wherever it runs."""
        for pid in self.machine.processes():
            if "run-operation" in proc.command_line(pid):
                proc.kill(pid)

    def bad_counts(self):
        """Whom the bad version met, by its own count."""
        return fixtures.counts(self.machine.path(f"{HOME}/bad"))


@contextlib.contextmanager
def deployed(suite=None, binds=(), layers=(), **options):
    """A machine with baton, polkit, a repository and settings; nothing is deployed yet."""
    suite = suite or os.environ.get("BATON_LAB_BASE", "bookworm")
    with tempfile.TemporaryDirectory(prefix="baton-repository-") as place, layer() as folder:
        # Seen in the machine by a bind: git resolves its folder, which nobody can do to one of a machine from outside.
        repository = Repository(f"{place}/git")
        binds = [f"{repository.folder}:{REPOSITORY}", *binds]
        with machine.Machine.up(suite, layers=[*layers, folder], binds=binds, **options) as box:
            made = Deployed(box, repository)
            made.prepare()
            yield made
