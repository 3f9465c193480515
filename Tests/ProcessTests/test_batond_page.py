"""batond(8) against the program: options, exit statuses, environment and files it names."""

import re
import subprocess
import unittest

from kit import programs


def section(name):
    page = (programs.ROOT / "man/batond.8").read_text()
    return re.search(rf"^\.Sh {name}\n(.*?)(?=^\.Sh )", page, re.M | re.S)[1]


class Page(unittest.TestCase):
    def test_its_options_are_those_of_the_program(self):
        said = subprocess.run([programs.path("batond"), "--help"], capture_output=True, text=True, check=True).stdout
        known = set(re.findall(r"^ +--([a-z-]+)", said, re.M))
        self.assertEqual(set(re.findall(r"^\.It Fl -([a-z-]+)", section("DESCRIPTION"), re.M)), known)
        self.assertEqual(set(re.findall(r"Fl -([a-z-]+)|\| -([a-z-]+)", section("SYNOPSIS"))), set(
            (option, "") if option != "version" else ("", option) for option in known
        ))

    def test_its_exit_statuses_happen(self):
        listed = set(re.findall(r"^\.It (\d+)", section("EXIT STATUS"), re.M))
        self.assertEqual(listed, {"0", "1", "64", "75", "78"})
        batond = programs.path("batond")

        def status(*arguments):
            return str(subprocess.run([batond, *arguments], capture_output=True, timeout=20).returncode)

        self.assertEqual(status("--version"), "0")
        self.assertEqual(status("--nonsense"), "64")
        self.assertEqual(status("--settings", "/nowhere.toml", "--check"), "78")

    def test_the_unit_gives_up_on_what_it_says(self):
        unit = (programs.ROOT / "units/baton@.service").read_text()
        self.assertIn("RestartPreventExitStatus=64 78", unit)
        self.assertIn("does not try again after 64 and 78", section("EXIT STATUS"))

    def test_mandoc_finds_nothing(self):
        lint = subprocess.run(
            [programs.tool("mandoc"), "-T", "lint", "-W", "warning", str(programs.ROOT / "man/batond.8")],
            capture_output=True, text=True,
        )  # fmt: skip
        self.assertEqual((lint.returncode, lint.stdout), (0, ""))
