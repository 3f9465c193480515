"""This host where its own systemd is pid 1: what a lab machine offers, without the machine."""

import os
import pathlib
import subprocess


def systemd_is_pid_1():
    """As sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


class Host:
    """Has the verbs of Machine that the demo needs."""

    prefix = ()

    def run(self, *command, check=True, within=60):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=within)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def path(self, inside):
        return pathlib.Path(inside)

    def write(self, inside, text, mode=0o644):
        place = pathlib.Path(inside)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def property(self, unit, name):
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()

    def systemd_version(self):
        return int(self.run("systemctl", "--version").stdout.split()[1])
