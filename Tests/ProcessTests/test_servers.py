"""A real PostgreSQL and a real Redis as engines of the last two stages: each gets TERM only when the stage before is
empty, by what their own logs say."""

import datetime
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest

from kit import fixtures, http, programs
from kit.runner import within
from kit.supervisor import running

POSTGRES = "/usr/lib/postgresql/*/bin"


def with_servers(made):
    """web after PostgreSQL and Redis; PostgreSQL as its own user where root may not run it."""
    owner = "postgres" if os.geteuid() == 0 else None
    postgres, initdb = programs.tool("postgres", POSTGRES), programs.tool("initdb", POSTGRES)
    redis = programs.tool("redis-server", "/usr/bin")
    data = made.folder / "pg"
    data.mkdir()
    (made.folder / "redis").mkdir()
    become = []
    if owner:
        shutil.chown(data, owner)
        become = ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups"]
    subprocess.run(
        [*become, initdb, "-D", str(data / "data"), "-A", "trust", "--no-sync"], check=True, capture_output=True, cwd="/")
    redis_log = made.folder / "redis/log"
    settings = {
        "listen_addresses": "", "unix_socket_directories": str(data), "log_line_prefix": "%n ", "fsync": "off",
        "logging_collector": "on", "log_directory": str(data), "log_filename": "log", "log_file_mode": "0644",
    }  # fmt: skip
    made.engines["db"] = made.idle(
        stage="database", user=owner, ready={"exec": ["test", "-S", str(data / ".s.PGSQL.5432")]}, stop_timeout="10s")
    made.engines["db"]["command"] = [postgres, "-D", str(data / "data")] + [
        part for name, text in settings.items() for part in ("-c", f"{name}={text}")]
    made.engines["cache"] = made.idle(stage="redis", ready={"exec": ["test", "-S", str(made.folder / "redis/socket")]})
    made.engines["cache"]["command"] = [
        redis, "--port", "0", "--unixsocket", str(made.folder / "redis/socket"), "--dir", str(made.folder / "redis"),
        "--logfile", str(redis_log), "--save", "",
    ]  # fmt: skip
    made.engines["web"]["after"] = ["db", "cache"]
    made.postgres_log, made.redis_log = data / "log", redis_log


class Servers(unittest.TestCase):
    @within(120)
    def test_each_is_stopped_only_when_the_stage_before_is_empty(self):
        with running(with_servers) as supervisor:
            self.assertEqual(http.ask(supervisor.of.port).status, 200)
            wall = time.time() - time.monotonic()
            with http.Client(supervisor.of.port) as client:
                client.send("/slow?ms=1000", keep=False)
                # The engines' stage takes as long as this answer.
                while supervisor.of.counts()["clients"] < 2:
                    pass
                status, _ = supervisor.stop()
            self.assertEqual(status, 0)
            web_gone = max(s.seconds for s in fixtures.stamps(supervisor.of.stamps, "exit")) + wall
            postgres = pathlib.Path(supervisor.of.postgres_log).read_text()
            redis = pathlib.Path(supervisor.of.redis_log).read_text()
            asked = re.search(r"^([\d.]+) LOG:  received (smart|fast) shutdown request", postgres, re.M)
            closed = re.search(r"^([\d.]+) LOG:  database system is shut down", postgres, re.M)
            self.assertIsNotNone(closed, postgres[-1000:])
            self.assertGreaterEqual(float(asked[1]) + 0.002, web_gone)
            self.assertGreaterEqual(_redis_time(redis, "User requested shutdown") + 0.002, float(closed[1]))
            self.assertIn("bye bye", redis)


def _redis_time(log, text):
    line = next(line for line in log.splitlines() if text in line)
    stamp = re.search(r"\d+ \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}", line)[0]
    return datetime.datetime.strptime(stamp, "%d %b %Y %H:%M:%S.%f").timestamp()
