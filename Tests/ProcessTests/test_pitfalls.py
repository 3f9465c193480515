"""Every row of docs/deploy-pitfalls.md has a test, and the tests it names are there."""

import re
import unittest

from kit import programs

ROWS = [*(f"A{number}" for number in range(1, 25)), "Q1", "M1", "M2", "M3", *(f"B{number}" for number in range(1, 7))]


class Pitfalls(unittest.TestCase):
    def test_no_row_is_without_a_test(self):
        rows = {}
        for line in (programs.ROOT / "docs/deploy-pitfalls.md").read_text().splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if re.fullmatch(r"[A-Z]\d+", cells[0]):
                rows[cells[0]] = re.findall(r"`(\w+)`", cells[2])
        self.assertEqual(list(rows), ROWS)
        known = set()
        for file in (programs.ROOT / "Tests").rglob("*"):
            if file.suffix in (".py", ".swift"):
                known.update(re.findall(r"\b(?:def|func) (\w+)\(", file.read_text()))
        for row, tests in rows.items():
            self.assertTrue(tests, f"{row} names no test")
            for test in tests:
                self.assertIn(test, known, f"{row} names a test that is not there")

    def test_a_test_that_is_named_for_a_row_stands_in_it(self):
        text = (programs.ROOT / "docs/deploy-pitfalls.md").read_text()
        for file in (programs.ROOT / "Tests/SystemTests").glob("*.py"):
            for name in re.findall(r"def (test_[A-Z]\d+_\w+)", file.read_text()):
                for row in re.findall(r"(?<=_)[A-Z]\d+(?=_)", name):
                    self.assertRegex(text, rf"(?m)^\| {row} .*`{name}`", f"{name} is not in the row {row}")
