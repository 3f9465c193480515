"""A whole deploy of a tree of 20,000 files and 300 MB, beside the script that baton replaces, on the same work.

Both run in one lab machine, on a folder of this host's own disk, and deploy the same commits to the same plain unit.
"""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

from ..bench import HERE, ROOT
from ..figures import Figure
from ..memory import PeakMemory
from ..report import Measure, Target

sys.path.insert(0, os.path.join(ROOT, "Tests", "Kit"))

FOLDERS, FILES, SIZE = 200, 100, 15_400
CHANGED = 50
DIRECTORY, SCRIPT_DIRECTORY, PROGRAM = "/opt/shop", "/opt/hotgo/server", "/usr/lib/baton-test/fixture-service"

UNIT = """
[Service]
User=shop
ExecStart={directory}/main --listen 127.0.0.1:{port}
"""

SETTINGS = f"""
[service]
directory = "{DIRECTORY}"
user = "shop"

[deploy]
repository = "/opt/repository"
ref = "main"
unit = "shop.service"
activate = "restart"
build = [["cp", "{PROGRAM}", "main"]]
artifacts = ["main"]

[health]
url = "http://127.0.0.1:8001/health"
passes = 1

[bake]
for = "0s"
"""


class Row:
    def __init__(self, name, note=""):
        self.name, self.note = name, note


SCRIPT = Row("deploy.sh", "without the 3 s it sleeps; health check at /health, `go build` and `sudo` stand-ins")
# The name the targets are about.
BATON = Row("batond", "baton deploy of a plain unit, in its own unit; one passed health check, as the script has it")


def deploy(bench):
    measure = Measure("deploy-whole", f"Deploy of {FOLDERS * FILES:,} files, {FOLDERS * FILES * SIZE / 1e6:.0f} MB, build and the "
                      "service's own start left out", [
                          Target("deploy", 1.5, "s"), Target("÷ deploy.sh", 0.5), Target("switch", 20, "ms")])
    from kit import machine
    missing = machine.missing()
    if missing:
        measure.left_out[BATON.name] = missing
        return measure
    for product in ("batond", "baton"):
        bench.tools.build(product)
    with bench.place() as place:
        os.chmod(place, 0o755)
        os.environ["BATON_BIN"] = os.path.dirname(bench.tools.baton)
        run(bench, measure, pathlib.Path(place))
    return measure


def run(bench, measure, place):
    from kit import installed, machine
    for name in ("repository", "hotgo", "shop"):
        (place / name).mkdir()
    repository = place / "repository"
    bench.say("deploy: making the tree")
    make_tree(repository)
    binds = [f"{place / name}:/opt/{name}" for name in ("repository", "hotgo", "shop")]
    with installed.layer() as layer, machine.Machine.up(layers=[layer], binds=binds) as box:
        if bench.first:
            favour(box)
        prepare(box)
        taken = {"script": [], "baton": [], "rollback": [], "switch": [], "activate": []}
        for turn in range(1 + bench.times(5, 2)):
            bench.say(f"deploy {turn}")
            if turn:
                change(repository, turn)
                box.run("chown", "-R", "baton-deploy:", "/opt/repository")
                script = of_script(box, bench.first)
                restart = of_restart(box)
            baton, steps = of_baton(box, "deploy", first=turn == 0)
            if turn == 0:
                continue  # the first has nothing to back up and no mirror: not the work that is compared
            taken["script"].append(script - restart)
            taken["switch"].append((steps["activate"] - restart) * 1000)
            taken["baton"].append(baton - restart)
            for name, seconds in steps.items():
                taken.setdefault(name, []).append(seconds)
        # A deploy of its own, which nobody times.
        change(repository, 1_000)
        box.run("chown", "-R", "baton-deploy:", "/opt/repository")
        with PeakMemory("/usr/bin/baton", "run-operation", "shop") as memory:
            of_baton(box, "deploy")
        taken["memory"] = [memory.most] if memory.most else []
        for _ in range(2):  # what is left counts as bad, so each goes one further back
            restart = of_restart(box)
            seconds, steps = of_baton(box, "rollback")
            taken["rollback"].append(seconds - restart)
            taken["switch"].append((steps["activate"] - restart) * 1000)
    show(measure, taken)


def show(measure, taken):
    measure.set(SCRIPT, "deploy", Figure(taken["script"], "s", 2))
    measure.set(BATON, "deploy", Figure(taken["baton"], "s", 2))
    measure.set(BATON, "÷ deploy.sh", Figure([b / s for b, s in zip(taken["baton"], taken["script"])], "", 2))
    for step in ("preflight", "backup", "fetch", "verify", "activate", "health-check", "prune"):
        if taken.get(step):
            measure.set(BATON, step, Figure([seconds * 1000 for seconds in taken[step]], "ms", 0))
    measure.set(BATON, "rollback", Figure(taken["rollback"], "s", 2))
    measure.set(BATON, "switch", Figure(taken["switch"], "ms", 1))
    measure.set(BATON, "peak memory", Figure(taken["memory"], "MB", 0))


# The work


def git(folder, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
    subprocess.run(["git", "-C", str(folder), "-c", "safe.directory=*", "-c", "gc.auto=0", "-c", "user.name=b", "-c", "user.email=b@example.org",
                    *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)  # fmt: skip


def text(generator):
    """Halves when it is compressed, as programs and their data do."""
    return generator.randbytes(SIZE // 2).hex()


def make_tree(folder):
    generator = random.Random(1)
    for number in range(FOLDERS):
        (folder / f"part{number:03}").mkdir()
        for file in range(FILES):
            (folder / f"part{number:03}" / f"file{file:03}.txt").write_text(text(generator))
    (folder / ".gitignore").write_text("/main\n/main.old\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "0")


def change(folder, turn):
    generator = random.Random(turn + 100)
    for number in range(CHANGED):
        file = folder / f"part{generator.randrange(FOLDERS):03}" / f"file{generator.randrange(FILES):03}.txt"
        file.write_text(text(generator))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", str(turn))


def favour(box):
    """What the machine's own systemd starts: its cgroup goes before all else, since real time is not to be had in one."""
    for kind, most in (("cpu.shares", "262144"), ("cpu.weight", "10000")):
        for path in pathlib.Path("/sys/fs/cgroup").glob(f"**/baton-lab-{box.name}/{kind}"):
            path.write_text(most)


def prepare(box):
    box.write("/usr/lib/sysusers.d/shop.conf", "u shop - -\n")
    box.run("systemd-sysusers")
    box.run("git", "config", "--system", "--add", "safe.directory", "*")
    box.run("git", "clone", "--quiet", "/opt/repository", SCRIPT_DIRECTORY, within=300)
    shutil.copyfile(os.path.join(HERE, "deploy.sh"), box.path("/opt/hotgo/deploy.sh"))
    box.run("sed", "-i", "s|/api/health|/health|", "/opt/hotgo/deploy.sh")
    box.write("/usr/local/bin/go", f"#!/bin/sh\nexec cp {PROGRAM} main\n", mode=0o755)
    box.write("/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n', mode=0o755)
    # The machine has no curl; the script only asks whether the answer is a good one.
    box.write("/usr/local/bin/curl", """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/8000 || exit 7
printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
""", mode=0o755)
    # What the script sleeps is not its work: as long as the service needs, and no longer.
    box.write("/usr/local/bin/sleep", """#!/bin/bash
until (exec 3<>/dev/tcp/127.0.0.1/8000) 2>/dev/null || ((SECONDS >= $1)); do :; done
""", mode=0o755)
    box.write("/etc/gitconfig", "[user]\nname = b\nemail = b@example.org\n[safe]\ndirectory = *\n")
    box.run("cp", PROGRAM, f"{SCRIPT_DIRECTORY}/main")
    box.run("chown", "baton-deploy:", DIRECTORY)
    box.run("chown", "-R", "baton-deploy:", "/opt/repository")
    box.write("/etc/baton/shop.toml", SETTINGS)
    for name, directory, port in (("hotgo", SCRIPT_DIRECTORY, 8000), ("shop", f"{DIRECTORY}/current", 8001)):
        box.write(f"/etc/systemd/system/{name}.service", UNIT.format(directory=directory, port=port))
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", "hotgo", "polkit")


# One deploy


def of_script(box, first):
    began = time.monotonic()
    box.run(*first, "bash", "/opt/hotgo/deploy.sh", within=300)
    return time.monotonic() - began


def of_baton(box, verb, *arguments, first=False):
    """Its seconds without the build, and those of each step."""
    began = time.monotonic()
    box.run("baton", verb, "shop", *(["--no-rollback"] if first else []), *arguments, within=300)
    seconds = time.monotonic() - began
    steps = durations(box)
    return seconds - steps.get("build", 0), steps


def operations(box):
    names = os.listdir(box.path(f"{DIRECTORY}/deploys"))
    return sorted(name for name in names if re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", name))


def durations(box):
    """Seconds of each step of the newest operation, by its own records."""
    began, taken = {}, {}
    for line in box.read(f"{DIRECTORY}/deploys/{operations(box)[-1]}/steps.jsonl").split("\n"):
        if not line.strip("\0"):
            continue
        record = json.loads(line.strip("\0"))
        if record["entry"] == "intends":
            began[record["step"]] = record["at"]
        elif record["entry"] == "did":
            taken[record["step"]] = (record["at"] - began[record["step"]]) / 1e6
    return taken


def of_restart(box):
    """What an activation contains that is not baton's: the unit's stop and start."""
    began = time.monotonic()
    box.run("systemctl", "restart", "shop")
    return time.monotonic() - began
