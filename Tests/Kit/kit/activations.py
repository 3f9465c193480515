"""Activations by themselves: `fixture-activate` moves a service under batond from release r1 to r2, as a deploy would."""

import os
import subprocess
import unittest

from kit import http, proc, programs, toml

ONCE = {"passes": 2, "interval": "50ms", "deadline": "3s"}


def releases(health=None, trial=None, **bake):
    """A service with releases r1 (current) and r2, and `[deploy]` with this health check."""

    def change(made):
        for name in ("r1", "r2"):
            (made.app / "releases" / name).mkdir(parents=True)
        (made.app / "current").symlink_to("releases/r1")
        if trial:
            made.handover["trial"] = trial
        text = made.text

        def with_deploy():
            # Read by fixture-activate from a file of its own: batond lets go of what concerns deploys.
            asked = {"url": f"http://127.0.0.1:{made.port}/", **ONCE, **(health or {})}
            checks = {name: asked.pop(name) for name in ("contains", "timeout") if name in asked}
            url = asked.pop("url")
            parts = [
                toml.table("deploy", {"user": made.user}), toml.table("health", asked),
                "[[health.check]]\n" + toml.table("x", {"url": url, **checks}).split("\n", 1)[1],
            ]  # fmt: skip
            if bake:
                parts.append(toml.table("bake", {name.replace("_", "-"): each for name, each in bake.items()}))
            return text() + "\n" + "\n".join(parts)

        made.deploy_text = with_deploy

    return change


class Run:
    """fixture-activate on the service of a supervisor."""

    def __init__(self, supervisor, *words, release="r2", previous="r1", fault=None):
        file = supervisor.of.folder / "deploy.toml"
        file.write_text(supervisor.of.deploy_text())
        environment = dict(supervisor.environment)
        if fault:
            environment["BATON_FAULT"] = fault
        self.process = subprocess.Popen(
            [
                programs.path("fixture-activate"), str(file), release, "--control", str(supervisor.control),
                "--previous", previous, *words,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, preexec_fn=proc.die_with_parent,
        )  # fmt: skip

    def end(self, within=60):
        self.output, _ = self.process.communicate(timeout=within)
        return self.process.returncode


def run(supervisor, *words, **options):
    started = Run(supervisor, *words, **options)
    return started.end(), started.output


def current(supervisor):
    return os.readlink(supervisor.of.app / "current")


class Steering(unittest.TestCase):
    def holds(self, supervisor, release):
        """This release serves, `current` names it, and nothing is left of the operation."""
        supervisor.wait_status(lambda s: "handover" not in s and s["state"] == "serving", within=20, what="rest")
        self.assertEqual((supervisor.status()["release"], current(supervisor)), (release, f"releases/{release}"))
        self.assertEqual({a.release for a in http.asks(supervisor.of.port, 20)}, {release})
        self.assertEqual([n for n in os.listdir(supervisor.of.app) if n.startswith(".tmp")], [])
