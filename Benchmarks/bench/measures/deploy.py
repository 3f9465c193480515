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

# Restarted as often as one likes.
UNIT = """
[Unit]
StartLimitIntervalSec=0
[Service]
User=shop
ExecStart={directory}/main --listen 127.0.0.1:{port} --stamp-file {stamps}
"""

# Where the service says when it listens.
STAMPS = "/var/tmp/shop.stamps"

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


# A unit of baton's own: the new generation takes the place of the old one.
STEERED = f"""
[service]
directory = "/opt/web"
user = "shop"

[socket.http]
listen = "127.0.0.1:8002"

[engine.web]
command = ["{PROGRAM}"]
sockets = ["http"]
ready = "notify"
prove = {{ socket = "http", path = "/health" }}

[deploy]

[health]
url = "http://127.0.0.1:8002/health"
passes = 1

[bake]
for = "0s"
"""

SCRIPT = Row("deploy.sh", "without the 3 s it sleeps; health check at /health, `go build` and `sudo` stand-ins")
# The name the targets are about.
BATON = Row("batond", "baton deploy of a plain unit, in its own unit; one passed health check, as the script has it")


def deploy(bench):
    measure = Measure("deploy-whole", f"Deploy of {FOLDERS * FILES:,} files, {FOLDERS * FILES * SIZE / 1e6:.0f} MB, build and the "
                      "service's own start left out", [
                          Target("deploy", 1.5, "s"), Target("÷ deploy.sh", 0.5), Target("switch", 20, "ms"),
                          Target("switch of baton@", 20, "ms")])
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
    folders = ("repository", "hotgo", "shop", "web")
    for name in folders:
        (place / name).mkdir()
    repository = place / "repository"
    bench.say("deploy: making the tree")
    make_tree(repository)
    binds = [f"{place / name}:/opt/{name}" for name in folders]
    with installed.layer() as layer, machine.Machine.up(layers=[layer], binds=binds) as box:
        if bench.first:
            favour(box)
        prepare(box)
        taken = {"script": [], "baton": [], "rollback": [], "switch": [], "activate": []}
        # The first has nothing to back up and no mirror, and the second backs up all of it: what follows is a deploy like
        # any other, which takes over from the archive before what is the same.
        for turn in range(2 + bench.times(5, 3)):
            bench.say(f"deploy {turn}")
            if turn:
                change(repository, turn)
                box.run("chown", "-R", "baton-deploy:", "/opt/repository")
                script = of_script(box, bench.first)
                restart = of_restart(box)
            baton, steps = of_baton(box, "deploy", first=turn == 0)
            if turn == 0:
                continue
            if turn == 1:
                taken["first backup"] = [baton - restart]
                continue
            taken["script"].append(script - restart)
            taken["switch"].append((steps["activate"] - of_service(box)) * 1000)
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
            taken["switch"].append((steps["activate"] - of_service(box)) * 1000)
        taken["steered"] = of_steered(box, bench.times(10, 5))
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
    measure.set(BATON, "switch of baton@", Figure(taken["steered"], "ms", 1))
    measure.set(BATON, "with the first backup", Figure(taken["first backup"], "s", 2))
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
    box.write("/etc/gitconfig", "[user]\nname = b\nemail = b@example.org\n[safe]\ndirectory = *\n[gc]\nauto = 0\n")
    box.run("cp", PROGRAM, f"{SCRIPT_DIRECTORY}/main")
    box.run("chown", "baton-deploy:", DIRECTORY)
    box.run("chown", "-R", "baton-deploy:", "/opt/repository")
    box.write("/etc/baton/shop.toml", SETTINGS)
    for name, directory, port in (("hotgo", SCRIPT_DIRECTORY, 8000), ("shop", f"{DIRECTORY}/current", 8001)):
        box.write(f"/etc/systemd/system/{name}.service", UNIT.format(directory=directory, port=port, stamps=f"/var/tmp/{name}.stamps"))
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", "hotgo", "polkit")


# One deploy. Before each what others wrote is on the disk: nobody waits for the script's 300 MB, which it does not sync.


def of_script(box, first):
    os.sync()
    began = time.monotonic()
    box.run(*first, "bash", "/opt/hotgo/deploy.sh", within=300)
    return time.monotonic() - began


def of_baton(box, verb, *arguments, first=False):
    """Its seconds without the build, and those of each step."""
    os.sync()
    began = time.monotonic()
    box.run("baton", verb, "shop", *(["--no-rollback"] if first else []), *arguments, within=300)
    seconds = time.monotonic() - began
    steps = durations(box)
    return seconds - steps.get("build", 0), steps


def of_steered(box, turns):
    """Milliseconds an activation of a baton@ unit takes more than `baton reload`, which starts and proves as many workers:
    records, the pointer, the health check out of clients' sight."""
    for folder in ("/opt/web", "/opt/web-tree"):
        box.run("install", "-d", "-o", "baton-deploy", folder)
    box.write("/etc/baton/web.toml", STEERED)
    box.write("/opt/web-tree/file", "x\n")
    box.run("baton", "deploy", "web", "--from", "/opt/web-tree", "--no-rollback")
    taken = []
    for turn in range(turns):
        box.write("/opt/web-tree/file", f"{turn}\n")
        os.sync()
        began = time.monotonic()
        box.run("baton", "status", "web")
        asked = time.monotonic()
        box.run("baton", "reload", "web")
        # Without what it takes to start a command in the machine.
        reload = time.monotonic() - asked - (asked - began)
        box.run("baton", "deploy", "web", "--from", "/opt/web-tree")
        taken.append((durations(box, "/opt/web")["activate"] - reload) * 1000)
    return taken


def operations(box, directory=DIRECTORY):
    names = os.listdir(box.path(f"{directory}/deploys"))
    return sorted(name for name in names if re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", name))


def durations(box, directory=DIRECTORY):
    """Seconds of each step of the newest operation, by its own records."""
    began, taken = {}, {}
    for line in box.read(f"{directory}/deploys/{operations(box, directory)[-1]}/steps.jsonl").split("\n"):
        if not line.strip():
            continue
        record = json.loads(line)
        if record["entry"] == "intends":
            began[record["step"]] = record["at"]
        elif record["entry"] == "did":
            taken[record["step"]] = (record["at"] - began[record["step"]]) / 1e6
    return taken


def of_restart(box):
    """What an activation contains that is not baton's: the unit's stop and start."""
    taken = []
    for _ in range(3):
        began = time.monotonic()
        box.run("systemctl", "restart", "shop")
        taken.append(time.monotonic() - began)
    return min(taken)


def of_service(box):
    """Seconds of the last activation that were the unit's: from when systemd began to stop it to when it listened, by
    their own clocks. What it takes to be allowed, to ask and to hear of it is left in."""
    stopping = box.run("systemctl", "show", "--value", "--property=ActiveExitTimestampMonotonic", "shop").stdout
    ready = [line.split() for line in box.read(STAMPS).splitlines() if line.startswith("ready ")]
    return int(ready[-1][2]) / 1e9 - int(stopping) / 1e6
