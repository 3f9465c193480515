"""scripts/lab: machines with a real systemd as pid 1, by hand."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kit import base, machine  # noqa: E402


def up(choice):
    made = machine.Machine.up(choice.base, name=choice.name, binds=choice.bind, layers=choice.layer, stays=True)
    print(f"{made.name} is up: systemd {made.systemd_version()}, leader {made.leader}")


def run(choice):
    machine.Machine(choice.name).exec(*choice.command)


def srun(choice):
    machine.Machine(choice.name).exec("systemd-run", "--pipe", "--wait", "--collect", "--quiet", "--", *choice.command)


def push(choice):
    _copy(choice.source, machine.Machine(choice.name).path(choice.target))


def pull(choice):
    _copy(machine.Machine(choice.name).path(choice.source), choice.target)


def _copy(source, target):
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    subprocess.run(["cp", "-a", "-T", str(source), str(target)], check=True)


def down(choice):
    for name in choice.name:
        machine.Machine(name).down(now=choice.now)


def gc(_):
    for name in machine.collect():
        print(f"removed {name}")


def ls(_):
    for found in machine.machines():
        print(f"{found.name} {'up' if found.is_alive() else 'dead'}")


def bases(choice):
    for suite in choice.suite or base.SUITES:
        if choice.rebuild:
            shutil.rmtree(base.base_folder(suite), ignore_errors=True)
        print(base.build(suite, say=lambda text: print(text, file=sys.stderr)))


def main():
    parser = argparse.ArgumentParser(prog="scripts/lab", description="Throwaway machines with a real systemd as pid 1.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(action, text, *arguments):
        entry = verbs.add_parser(action.__name__ if action is not bases else "base", help=text, description=text)
        entry.set_defaults(action=action)
        for names, options in arguments:
            entry.add_argument(*names, **options)

    name = (["name"], {})
    command = (["command"], {"nargs": argparse.REMAINDER})
    verb(
        up, "boot one that stays up until `down`", name,
        (["--base"], {"choices": base.SUITES, "default": "bookworm", "help": "systemd 252 or 257"}),
        (["--bind"], {"action": "append", "default": [], "metavar": "SOURCE:TARGET"}),
        (["--layer"], {"action": "append", "default": [], "metavar": "FOLDER", "help": "laid over the base"}),
    )  # fmt: skip
    verb(run, "run a command in it", name, command)
    verb(srun, "run a command in it as a transient unit", name, command)
    verb(push, "copy into it", name, (["source"], {}), (["target"], {}))
    verb(pull, "copy out of it", name, (["source"], {}), (["target"], {}))
    verb(down, "power it off", (["name"], {"nargs": "+"}), (["--now"], {"action": "store_true"}))
    verb(ls, "list them")
    verb(gc, "remove what dead ones left, and old bases")
    verb(
        bases, "build the root file systems they boot", (["suite"], {"nargs": "*", "choices": [*base.SUITES, []]}),
        (["--rebuild"], {"action": "store_true"}),
    )  # fmt: skip
    choice = parser.parse_args()
    try:
        choice.action(choice)
    except (machine.MachineError, base.BaseError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
