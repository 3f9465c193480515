"""A host that goes down in mid-activation, clocks that jump, disks that are full."""

import os
import pathlib
import tempfile
import time
import unittest

from kit import machine
from kit.deploying import DIRECTORY, USER, Deployed, deployed
from kit.installed import layer
from kit.repository import Repository
from kit.runner import either_base, within

# libfaketime takes a Swift program's arguments away; this moves one clock and nothing else.
MOVED_CLOCK = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *found) {
  int result = (int)syscall(SYS_clock_gettime, clock, found);
  if (result != 0 || clock != CLOCK_REALTIME) return result;
  char offset[32] = "";
  int file = open("/run/moved-clock", O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    if (read(file, offset, sizeof offset - 1) > 0) found->tv_sec += atol(offset);
    close(file);
  }
  return result;
}

time_t time(time_t *place) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (place != NULL) *place = now.tv_sec;
  return now.tv_sec;
}
"""
SUITE = os.environ.get("BATON_LAB_BASE", "bookworm")


@within(240)
class HostDown(unittest.TestCase):
    def test_the_boot_unit_recovers_before_the_service_starts(self):
        with tempfile.TemporaryDirectory(prefix="baton-boot-") as place, layer() as installed:
            place = pathlib.Path(place)
            disk, enabled = place / "disk", place / "enabled"
            for folder in ("demo", "baton"):
                (disk / folder).mkdir(parents=True)
            place.chmod(0o755)
            repository = Repository(place / "git")
            binds = [f"{disk}/demo:/srv/demo", f"{disk}/baton:/var/lib/baton", f"{repository.folder}:/srv/repository"]
            with machine.Machine.up(SUITE, layers=[installed], binds=binds) as box:
                it = Deployed(box, repository)
                it.prepare()
                it.first("v1")
                before = it.operations()
                it.version("v2", start_delay=1500)
                it.begin(environment=["LANG=C"])
                it.wait_step("intends", "activate", besides=before)
                text = it.text()
                box.down(now=True)
            self.enable(enabled, text)
            with machine.Machine.up(SUITE, layers=[enabled, installed], binds=binds) as box:
                it = Deployed(box, repository)
                it.wait_active()
                self.assertEqual(box.property("baton-recover.service", "Result"), "success")
                ended = int(box.property("baton-recover.service", "ExecMainExitTimestampMonotonic"))
                started = int(box.property("baton@demo.service", "ExecMainStartTimestampMonotonic"))
                self.assertTrue(0 < ended <= started, (ended, started))
                version = it.answered_by()
                self.assertIn(version, ("v1", "v2"))
                self.assertEqual(it.machine.read(f"{DIRECTORY}/current/VERSION").strip(), version)
                self.assertIn("nothing was left over", it.run("recover", "demo").stdout)

    def enable(self, folder, settings):
        """What an administrator left on the disk: users, settings, the enabled unit."""
        for name, text in (("usr/lib/sysusers.d/demo.conf", "u demo - - /srv/demo\n"), ("etc/baton/demo.toml", settings)):
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_text(text)
        wants = folder / "etc/systemd/system/baton-lab.target.wants"
        wants.mkdir(parents=True)
        (wants / "baton@demo.service").symlink_to("/usr/lib/systemd/system/baton@.service")


@either_base
@within(240)
class Clocks(unittest.TestCase):
    def at(self, it, days):
        """The deploy's wall clock stands elsewhere; the monotonic one goes on."""
        it.machine.write("/run/moved-clock", f"{days * 86400}")
        it.machine.run("chown", USER, "/run/moved-clock")
        it.machine.write("/usr/lib/moved-clock.c", MOVED_CLOCK)
        it.machine.run("gcc", "-shared", "-fPIC", "-o", "/usr/lib/moved-clock.so", "/usr/lib/moved-clock.c")
        it.drop_in(
            "[Service]\nEnvironment=LD_PRELOAD=/usr/lib/moved-clock.so\n", unit=it.deploy_unit)

    def test_a_clock_that_jumps_in_the_middle_changes_nothing(self):
        """Forwards and backwards, while it builds: no time-out comes early or never, no order changes."""
        with deployed() as it:
            it.first("v1")
            it.bake = {"for": "2s", "interval": "200ms"}
            self.at(it, 0)
            build, releases = it.deploy["build"], [it.current]
            for name, days in (("v2", 30), ("v3", -30), ("v4", 0)):
                it.deploy["build"] = [*build, ["sh", "-c", f"echo {days * 86400} > /run/moved-clock"]]
                it.write()
                it.version(name)
                began = time.monotonic()
                it.deploys()
                took = time.monotonic() - began
                self.assertTrue(2 < took < 60, f"{name} took {took} s")
                self.assertEqual(it.answered_by(), name)
                releases.append(it.current)
            self.assertEqual([each["release"] for each in it.releases()["releases"]], releases[::-1])
            self.assertIn("nothing was left over", it.run("recover", "demo").stdout)
            for name in ("v3", "v2", "v1"):
                it.run("rollback", "demo")
                self.assertEqual(it.answered_by(), name)

    def test_a_clock_set_back_changes_no_order(self):
        with deployed() as it:
            it.first("v1")
            good = it.current
            self.at(it, -3)
            it.version("v2")
            done = it.deploys()
            self.assertIn("clock", done.stdout + done.stderr)
            self.assertEqual(it.answered_by(), "v2")
            self.assertLess(it.current, good, "its name is of three days ago")
            it.version("v3")
            self.at(it, 3)
            it.deploys()
            it.run("rollback", "demo")
            self.assertEqual(it.answered_by(), "v2")
            it.run("rollback", "demo")
            self.assertEqual((it.answered_by(), it.current), ("v1", good))


@either_base
@within(240)
class FullDisk(unittest.TestCase):
    def small(self, it, megabytes):
        """The service's directory on a file system of its own, with little room."""
        it.machine.run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "small", DIRECTORY)
        it.machine.run("chown", f"{USER}:", DIRECTORY)

    def fill(self, it, name):
        it.machine.run("sh", "-c", f"dd if=/dev/zero of={DIRECTORY}/{name} bs=64k; :", check=False)

    def test_too_little_room_is_refused_before_anything_is_begun(self):
        with deployed() as it:
            self.small(it, 20)
            it.version("v1")
            done = it.fails("--no-rollback")
            self.assertIn("free", done.stderr)
            self.assertEqual(it.names("releases"), [])

    def test_a_build_that_fills_it_is_undone_and_gives_the_room_back(self):
        with deployed() as it:
            self.small(it, 150)
            it.first("v1")
            it.deploy["build"].append(["sh", "-c", "exec dd if=/dev/zero of=filler bs=64k"])
            it.write()
            it.version("v2")
            with it.load() as load:
                done = it.fails()
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertIn("No space left", done.stdout + done.stderr)
            self.assertEqual(it.answered_by(), "v1")
            free = int(it.machine.run("stat", "-f", "-c", "%a", DIRECTORY).stdout) * 4096
            self.assertGreater(free, 100 << 20)

    def test_a_rollback_needs_no_room(self):
        with deployed() as it:
            self.small(it, 150)
            it.first("v1")
            it.version("v2")
            it.deploys()
            self.fill(it, "filler")
            with it.load() as load:
                it.run("rollback", "demo")
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(it.answered_by(), "v1")
