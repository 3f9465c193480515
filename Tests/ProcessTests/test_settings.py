"""Settings that are wrong: exit 78, every error at once, each with its place; what a reload does with them."""

import os
import re
import subprocess
import unittest

from kit import http, programs
from kit.supervisor import running, service

WRONG = """\
[service]
directory = "{app}"
user = "root"
colour = "blue"

[socket.http]
listen = "127.0.0.1:99999"

[socket.lonely]
listen = "127.0.0.1:1"

[engine.web]
command = ["{fixture}"]
comand = "x"
sockets = ["htp"]
start-timeout = 5
after = ["jobs"]

[engine.jobs]
command = ["/nonexistent/program"]
after = ["web"]
"""


def check(file):
    """batond --check of a file: (status, what it said)."""
    done = subprocess.run(
        [programs.path("batond"), "--settings", str(file), "--check"], capture_output=True, timeout=20, text=True,
        errors="replace",
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


class Errors(unittest.TestCase):
    def test_all_errors_of_a_file_are_told_at_once_with_their_places(self):
        with service() as made:
            made.write(WRONG.format(app=made.app, fixture=programs.path("fixture-service")))
            status, said = check(made.file)
            self.assertEqual(status, 78)
            places = {int(line) for line in re.findall(rf"{re.escape(str(made.file))}:(\d+):\d+", said)}
            lines = made.file.read_text().splitlines()
            for wrong in ("colour", "99999", "lonely", "comand", "htp", "start-timeout", "nonexistent"):
                number = next(n for n, line in enumerate(lines, 1) if wrong in line)
                self.assertTrue(places & {number, number + 1}, f"{wrong} in line {number} of {sorted(places)}:\n{said}")
            self.assertIn("command", said)  # the nearest known key
            self.assertIn("http", said)  # the nearest known socket
            self.assertRegex(said, r"cycle|each other")

    def test_batond_does_not_start_on_them(self):
        with service() as made:
            made.write("[service]\n")
            done = subprocess.run(
                [programs.path("batond"), "--settings", str(made.file), "--runtime-directory", str(made.folder / "run")],
                capture_output=True, timeout=20,
            )  # fmt: skip
            self.assertEqual(done.returncode, 78)

    def test_a_good_file_passes(self):
        with service() as made:
            made.write()
            status, said = check(made.file)
            self.assertEqual((status, "error" in said), (0, False), said)


class Rubbish(unittest.TestCase):
    """Whatever the file is: one clear answer, exit 78, soon."""

    def assertRefused(self, file):
        status, said = check(file)
        self.assertEqual(status, 78, said[-500:])
        self.assertIn(str(file), said)
        self.assertLess(len(said), 100_000)

    def test_random_bytes(self):
        with service() as made:
            made.file.write_bytes(os.urandom(4096))
            self.assertRefused(made.file)

    def test_ten_megabytes(self):
        with service() as made:
            made.file.write_bytes(os.urandom(10 << 20))
            self.assertRefused(made.file)
            made.file.write_text("[service]\n" + "a = 1\n" * (10 << 20 >> 3))
            self.assertRefused(made.file)

    def test_deep_nesting(self):
        with service() as made:
            made.file.write_text("a = " + "[" * 100_000)
            self.assertRefused(made.file)

    def test_a_link_loop_a_folder_nothing_and_a_device(self):
        with service() as made:
            loop = made.folder / "loop"
            loop.symlink_to(loop)
            for file in (loop, made.folder, made.folder / "nothing", "/dev/zero"):
                self.assertRefused(file)


class WhileServing(unittest.TestCase):
    def test_a_reload_of_wrong_settings_is_refused_and_the_old_serves(self):
        with running() as supervisor:
            pids = supervisor.pids()
            good = supervisor.of.file.read_text()
            for text in (good.replace("[engine.web]", "[engine.web]\ncolour = 1"), "\0" * 100, ""):
                supervisor.of.file.write_text(text)
                supervisor.of.write = lambda: None
                verdict = supervisor.refused()
                self.assertEqual(verdict["exitCode"], 78, verdict)
                self.assertIn(str(supervisor.of.file), verdict["what"] + "\n".join(verdict["lastLines"]))
                self.assertEqual(http.ask(supervisor.of.port).status, 200)
            self.assertEqual(supervisor.pids(), pids)
