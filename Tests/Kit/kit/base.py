"""Root file systems that lab machines boot: Debian bookworm (systemd 252) and trixie (systemd 257).

Built once by mmdebstrap from the machine's configured mirror and cached outside the checkout, under a name that changes
with this file: a change to the list below makes a new base, and the old one is left for `lab gc`.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from kit.waiting import let_pass

SUITES = ("bookworm", "trixie")

# Only what the tests need. What is a service starts by itself in no machine: see baton-lab.target in machine-inside.sh.
PACKAGES = (
    # a system manager, a bus, and the libraries batond and baton load
    "systemd",
    "dbus",  # systemctl from units, sd-bus clients
    "libnss-systemd",  # names of dynamic users
    "libjansson4",
    "libsqlite3-0",
    "libsystemd0",
    "libstdc++6",
    "libcurl4",
    "libarchive13",
    "libnettle8",
    "libpq5",
    # what deploys meet on a host
    "git",
    "gcc",  # the build step really compiles
    "libc6-dev",
    "polkitd",  # what an unprivileged deploy user may ask of systemd
    "openssh-server",
    "openssh-client",
    "postgresql",
    "sqlite3",
    "nginx-light",  # a service that batond does not supervise
    "zstd",
)

# Starts nothing but what a machine cannot do without.
TARGET = """[Unit]
Description=A lab machine that has settled
Requires=basic.target
Wants=dbus.socket systemd-user-sessions.service
After=basic.target dbus.socket systemd-user-sessions.service
AllowIsolate=yes
"""

# What sysinit would still drag in: first-boot work, timers, mounts and settings of a host's kernel.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "ldconfig.service", "systemd-hwdb-update.service", "systemd-journal-catalog-update.service",
    "systemd-update-done.service", "systemd-firstboot.service", "systemd-networkd.socket",
    "systemd-networkd-wait-online.service", "systemd-remount-fs.service", "systemd-sysctl.service",
    "systemd-update-utmp.service", "dev-hugepages.mount", "dev-mqueue.mount",
)  # fmt: skip

# nspawn binds cgroup v1 controllers read-only; writable, MemoryMax=, TasksMax= and CPUQuota= work inside.
INIT = """#!/bin/sh
for controller in memory pids cpu cpuacct devices freezer blkio cpuset; do
  [ ! -d "/sys/fs/cgroup/$controller" ] || mount -o remount,bind,rw "/sys/fs/cgroup/$controller"
done
exec /lib/systemd/systemd "$@"
"""

# Seconds between attempts: a mirror that is being updated, or a network that is away for a moment.
PAUSES = (5, 30)

DEFAULT_MIRROR = "http://deb.debian.org/debian"


class BaseError(Exception):
    """A base could not be built."""


def cache_folder():
    """Where bases are kept: `$BATON_CACHE/lab`, else `$XDG_CACHE_HOME/baton/lab`, else `~/.cache/baton/lab`."""
    own = os.environ.get("BATON_CACHE")
    if own:
        return pathlib.Path(own) / "lab"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(home) / "baton" / "lab"


def base_folder(suite):
    """The path a base of this suite has, built or not."""
    if suite not in SUITES:
        raise BaseError(f"no base named {suite}; there are {', '.join(SUITES)}")
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]
    return cache_folder() / f"{suite}-{key}"


def built(suite):
    return (base_folder(suite) / "usr/lib/systemd/systemd").exists()


def mirror():
    """The first mirror of the machine's own sources that serves the Debian archive itself."""
    places = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    for place in places:
        if place.is_file():
            for url in re.findall(r"^(?:URIs:|deb)\s.*?(\S+://\S+)", place.read_text(), re.M):
                if url.rstrip("/").endswith("/debian"):
                    return url
    return DEFAULT_MIRROR


def build(suite, say=print):
    """Builds the base unless it is there, and returns its path. Two builders at once: the first to finish wins."""
    target = base_folder(suite)
    if built(suite):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f"building-{suite}-", dir=target.parent))
    log = temporary.with_suffix(".log")
    try:
        say(f"lab: building the {suite} base (once; about two minutes)")
        command = [
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=" + ",".join(PACKAGES),
            "--aptopt=Acquire::Retries \"3\"", suite, str(temporary / "root"), f"deb {mirror()} {suite} main",
        ]  # fmt: skip
        for pause in (*PAUSES, None):
            with open(log, "wb") as output:
                status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode
            if status == 0 or pause is None:
                break
            say(f"lab: the mirror did not give all of {suite}; again in {pause} s")
            shutil.rmtree(temporary / "root", ignore_errors=True)
            let_pass(pause)
        if status != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise BaseError(f"mmdebstrap of {suite} from {mirror()} failed with status {status}:\n{tail}")
        root = temporary / "root"
        trim(root)
        prepare(root)
        root.chmod(0o755)
        try:
            os.rename(root, target)
        except OSError:
            if not built(suite):
                raise
        return target
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        log.unlink(missing_ok=True)


def trim(root):
    """Removes what a throwaway machine never reads, and the identity every machine must make for itself."""
    for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / folder, ignore_errors=True)
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")


def prepare(root):
    """Makes it boot as a lab machine does: into a target of its own, without units for what no machine has. Generators
    would run at each boot and at each `daemon-reload`, a dozen processes that find nothing."""
    units, generators = root / "etc/systemd/system", root / "etc/systemd/system-generators"
    units.mkdir(parents=True, exist_ok=True)
    generators.mkdir(exist_ok=True)
    found = [each.name for each in (root / "usr/lib/systemd/system-generators").iterdir()]
    for masked in (*(units / name for name in MASKED), *(generators / name for name in found)):
        masked.unlink(missing_ok=True)
        masked.symlink_to("/dev/null")
    (units / "baton-lab.target").write_text(TARGET)
    (root / "sbin/baton-lab-init").write_text(INIT)
    (root / "sbin/baton-lab-init").chmod(0o755)
