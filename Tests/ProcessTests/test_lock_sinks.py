"""The examples of docs/leases.md do what they say: a command that wakes too late is refused by what it writes to."""

import os
import re
import signal
import subprocess
import unittest

from kit import proc, programs
from kit.locks import Locks, Redis
from kit.postgres import PLACES, Postgres
from kit.waiting import wait_until


def examples(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (programs.ROOT / "docs/leases.md").read_text(), re.M | re.S)


class Sinks(unittest.TestCase):
    def refused(self, locks, write, variables):
        """A first holder stands still; a second one writes; the first one's command writes then, and is refused."""
        go = locks.directory / "go"
        os.mkfifo(go)
        script = f"echo $BATON_LEASE_TOKEN >> $LOG; read -r line < {go}; ({write}) > {locks.directory}/late 2>&1; echo late $? >> $LOG"
        first = locks.start("run", "report", "--ttl", "3s", "--", "bash", "-c", script, variables=variables)
        wait_until(
            lambda: locks.lines, 20, lambda: f"the first one to run: {first.poll()} {first.poll() and first.stderr.read()}")
        proc.stop_between_writes(first.pid)
        second = locks.run(
            "run", "report", "--wait", "15s", "--", "bash", "-c", f"echo $BATON_LEASE_TOKEN >> $LOG; {write}", variables=variables)
        self.assertEqual(second.returncode, 0, second.stderr)
        go.write_text("\n")
        wait_until(lambda: len(locks.lines) == 3, 20, lambda: f"the first one's command has written: {locks.lines}")
        first.send_signal(signal.SIGCONT)
        first.wait(20)
        tokens = [int(line) for line in locks.lines[:2]]
        self.assertLess(tokens[0], tokens[1])
        self.assertNotEqual(locks.lines[2], "late 0", "it was not refused")
        return tokens, (locks.directory / "late").read_text()

    def test_postgresql(self):
        with Postgres() as server, Locks() as locks:
            variables = {"PGHOST": str(server.folder), "PGUSER": "postgres", "PATH": f"{os.path.dirname(programs.tool('psql', PLACES))}:/usr/bin:/bin"}

            def psql(sql):
                command = [programs.tool("psql", PLACES), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]
                return subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=20).stdout

            psql(examples("sql")[0])
            psql("CREATE TABLE report (body text)")
            write = next(each for each in examples("sh") if "psql" in each)
            tokens, said = self.refused(locks, write, variables)
            self.assertIn(f"token {tokens[0]} of report is too late", said)
            self.assertEqual(psql("SELECT body FROM report").split("\n")[:-1], [f"done with {tokens[1]}"])

    def test_redis(self):
        with Redis() as redis, Locks() as locks:
            (locks.directory / "fenced.lua").write_text(examples("lua")[0])
            write = next(each for each in examples("sh") if "redis-cli" in each)
            write = f"cd {locks.directory}; " + write.replace("redis-cli", f"redis-cli -s {redis.socket}")
            tokens, said = self.refused(locks, write, {})
            self.assertIn("LATE token", said)
            value = subprocess.run(
                ["redis-cli", "-s", redis.socket, "GET", "report"], capture_output=True, text=True, timeout=20).stdout
            self.assertEqual(value.strip(), f"done with {tokens[1]}")
