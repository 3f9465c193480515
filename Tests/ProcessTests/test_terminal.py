"""What a person sees of a deploy on a terminal of 80 columns: progress that is redrawn, colours, words that are not cut,
and what Ctrl-C does when it comes from the keyboard."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unittest

from kit.deploys import deployed
from kit.waiting import wait_until

STUBBORN = [{"text": "stubborn", "run": ["sh", "-c", "trap '' TERM; echo began; i=0; while [ $i -lt 40 ]; do i=$((i+1)); sleep 0.1; done"]}]  # SLEEPS


class Screen:
    """A program on a terminal of its own, which also is its controlling one: Ctrl-C is a byte."""

    def __init__(self, command, environment, columns=80):
        def lead():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.side, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.program = subprocess.Popen(
            command, stdin=other, stdout=other, stderr=other, env=environment, preexec_fn=lead)
        os.close(other)
        self.raw = ""

    def read(self, timeout=0.0):
        while select.select([self.side], [], [], timeout)[0]:
            try:
                data = os.read(self.side, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.raw += data.decode(errors="replace")
            timeout = 0
        return True

    def until(self, word, within=20):
        def there():
            self.read(0.1)
            return word in self.raw

        wait_until(there, within, lambda: f"{word!r} in {self.raw!r}")

    def press(self, key):
        os.write(self.side, key)

    def end(self, within=60):
        deadline = time.monotonic() + within
        while self.read(0.2) and time.monotonic() < deadline:
            pass
        status = self.program.wait(timeout=5)
        os.close(self.side)
        return status

    @property
    def lines(self):
        """What stands there in the end; a row is as long as what was written into it."""
        rows, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", self.raw):
            if part == "\n":
                row += 1
                rows += [""] * (row + 1 - len(rows))
            elif part == "\r":
                column = 0
            elif part.startswith("\x1b"):
                if part[-1] == "A":
                    row = max(0, row - int(part[2:-1] or 1))
                elif part[-1] in "JK":
                    rows[row] = rows[row][:column]
                    if part[-1] == "J":
                        del rows[row + 1 :]
            else:
                rows[row] = rows[row][:column].ljust(column) + part + rows[row][column + len(part) :]
                column += len(part)
        return [line.rstrip() for line in rows]


class Terminal(unittest.TestCase):
    def deploy(self, deploy, *words, more=None, columns=80):
        environment = deploy.environment({"TERM": "xterm", **(more or {})})
        return Screen(deploy.command("deploy", "--foreground", *words), environment, columns)

    def test_progress_is_redrawn_and_what_is_done_stays(self):
        with deployed() as deploy:
            screen = self.deploy(deploy, "--quick")
            self.assertEqual(screen.end(), 0, screen.raw)
            self.assertIn("\x1b[32mdone\x1b[0m", screen.raw)
            self.assertRegex(screen.raw, r"\x1b\[\d+A")
            left = screen.lines
            for step in ("fetch", "build", "verify", "activate", "health-check", "mark-good"):
                self.assertEqual(len([line for line in left if re.match(rf"done +{step}\b", line)]), 1, left)
            self.assertEqual([line for line in left if line.startswith("now")], [], "nothing half drawn is left")
            self.assertIn("serves and is marked good", " ".join(left))
            over = [line for line in left if len(line) > 80 and " " in line.strip()]
            self.assertEqual([line for line in over if max(map(len, line.split())) <= 60], [])

    def test_without_colour(self):
        with deployed() as deploy:
            environment = {"TERM": "xterm", "NO_COLOR": "1"}
            screen = self.deploy(deploy, "--quick", more=environment)
            self.assertEqual(screen.end(), 0, screen.raw)
            self.assertNotRegex(screen.raw, r"\x1b\[[0-9;]*m")
            # Results go another way than progress.
            screen = Screen(deploy.command("history"), deploy.environment(environment))
            self.assertEqual(screen.end(), 0, screen.raw)
            self.assertNotRegex(screen.raw, r"\x1b\[[0-9;]*m")

    def test_elsewhere_there_is_no_escape_at_all(self):
        with deployed() as deploy:
            done = deploy.baton("deploy", "--foreground", "--quick")
            self.assertEqual(done.returncode, 0, done.stderr)
            for words in (("history",), ("releases",), ("preflight",)):
                done.stdout += deploy.baton(*words).stdout
            self.assertNotIn("\x1b", done.stdout + done.stderr)

    def test_a_log_says_what_began_where_something_came_of_it_or_it_took_long(self):
        with deployed() as deploy:
            deploy.deploy["build"] = [["sleep", "1.2"], ["echo", "built"]]
            deployed_once = deploy.baton("deploy", "--foreground", "--quick")
            self.assertEqual(deployed_once.returncode, 0, deployed_once.stderr)
            deploy.version("two")
            plan = deploy.baton("deploy", "--plan").stdout
            self.assertNotIn("fatal", plan, "what git says of a commit that it does not have yet")
            deploy.deploy["build"] = [["sh", "-c", "echo no; exit 1"]]
            failed = deploy.baton("deploy", "--foreground", "--quick").stderr
            for said in (deployed_once.stderr, failed):
                lines = said.splitlines()
                self.assertIn("begins    build", lines)
                self.assertIn("  | $ ", said)
                for one, after in zip(lines, lines[1:]):
                    if match := re.match(r"begins +(\S+)$", one):
                        self.assertFalse(re.match(rf"done +{match[1]} +\d+(\.\d+)?(ms|µs)$", after), f"{one}\n{after}")
            self.assertRegex(deployed_once.stderr, r"(?m)^          1 file$")
            self.assertRegex(failed, r"(?m)^undone +build$")

    def test_tables_fit_eighty_columns(self):
        with deployed() as deploy:
            deploy.deployed("--quick")
            deploy.version("two")
            deploy.deployed("--quick")
            for word in ("history", "releases"):
                screen = Screen(deploy.command(word), deploy.environment({"TERM": "xterm", "NO_COLOR": "1"}))
                self.assertEqual(screen.end(), 0)
                for line in screen.raw.splitlines():
                    self.assertLessEqual(len(line), 80, line)

    def test_the_first_ctrl_c_asks_for_an_orderly_end_and_the_second_leaves(self):
        with deployed() as deploy:
            deploy.deploy["checklist"] = STUBBORN
            screen = self.deploy(deploy)
            deploy.wait_said('"text":"began"')
            screen.until("preflight")
            screen.press(b"\x03")
            screen.until("orderly end")
            screen.press(b"\x03")
            self.assertEqual(screen.end(), 130, screen.raw)
            self.assertIn("goes on on the host", screen.raw)
            self.assertEqual(len(deploy.hosts()), 1, "the terminal's signals do not reach it")
            attached = deploy.baton("deploy", "--attach")
            self.assertEqual(attached.returncode, 1, attached.stderr)
            self.assertEqual(deploy.history()[0]["state"], "aborted")


if __name__ == "__main__":
    unittest.main()
