"""`baton lock` from outside: one at a time, renewed, lost, given back, taken by force."""

import concurrent.futures
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import time
import unittest

from kit import proc, programs
from kit.locks import Locks, Redis
from kit.postgres import Postgres
from kit.waiting import wait_until


class Lock(unittest.TestCase):
    def test_the_commands_status_is_its_own(self):
        with Locks() as locks:
            for status in (0, 3, 75):
                self.assertEqual(locks.run("run", "job", "--", "sh", "-c", f"exit {status}").returncode, status)
            self.assertEqual(locks.run("run", "job", "--", "sh", "-c", "kill -9 $$").returncode, 128 + 9)
            missing = locks.run("run", "job", "--", "no-such-program")
            self.assertEqual(missing.returncode, 127)
            self.assertIn("no-such-program", missing.stderr)
            text = locks.directory / "text"
            text.write_text("no program\n")
            text.chmod(0o755)
            self.assertEqual(locks.run("run", "job", "--", str(text)).returncode, 126)
            self.assertFalse(locks.listed()["job"]["held"], "given back each time")

    def test_input_output_and_environment_are_the_commands(self):
        with Locks() as locks:
            script = "cat; echo \"$BATON_LEASE $BATON_LEASE_TOKEN\" >&2"
            done = locks.run("run", "job", "--", "sh", "-c", script, input="line\n")
            self.assertEqual(done.stdout, "line\n")
            name, token = done.stderr.split()
            self.assertEqual((name, int(token)), ("job", locks.listed()["job"]["token"]))

    def test_files_of_the_command_have_the_callers_umask(self):
        with Locks() as locks:
            made = locks.directory / "made"
            locks.run("run", "job", "--", "touch", str(made), umask=0o027)
            self.assertEqual(made.stat().st_mode & 0o777, 0o640)

    def test_the_second_is_busy_at_once(self):
        with Locks() as locks:
            locks.holder()
            second = locks.run("run", "job", "--", "touch", str(locks.directory / "ran"))
            self.assertEqual(second.returncode, 75)
            self.assertIn("held by", second.stderr)
            self.assertFalse((locks.directory / "ran").exists())
            self.assertEqual(locks.run("run", "other", "--", "true").returncode, 0)

    def test_of_many_at_once_one_runs(self):
        with Locks() as locks:
            script = "mkdir \"$0\" || exit 99; sleep 0.3; rmdir \"$0\""
            def one(_):
                return locks.run("run", "job", "--", "bash", "-c", script, str(locks.directory / "inside")).returncode

            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                statuses = list(pool.map(one, range(8)))
            self.assertNotIn(99, statuses, "two were inside")
            self.assertGreaterEqual(len([each for each in statuses if each != 75]), 1)

    def test_who_waits_starts_when_it_is_given_back(self):
        with Locks() as locks:
            first = locks.holder()
            second = locks.start("run", "job", "--wait", "60s", "--", "sh", "-c", "echo second $BATON_LEASE_TOKEN >> $LOG")
            self.assertIn("waiting for job", second.stderr.readline())
            began = time.monotonic()
            first.terminate()
            self.assertEqual(second.wait(30), 0)
            self.assertEqual(first.wait(30), 7)
            self.assertLess(time.monotonic() - began, 2.5, "the poll alone takes 3 to 5 s")
            self.assertEqual([line.split()[0] for line in locks.lines], ["job", "ended", "second"])
            self.assertGreater(int(locks.lines[2].split()[1]), int(locks.lines[0].split()[1]), "tokens rise")

    def test_waiting_ends(self):
        with Locks() as locks:
            locks.holder()
            second = locks.run("run", "job", "--wait", "300ms", "--", "true")
            self.assertEqual(second.returncode, 75)

    def test_who_is_told_to_end_while_waiting_does_and_starts_nothing(self):
        with Locks() as locks:
            first = locks.holder()
            second = locks.start("run", "job", "--wait", "60s", "--", "touch", str(locks.directory / "ran"))
            self.assertIn("waiting for job", second.stderr.readline())
            second.terminate()
            self.assertEqual(second.wait(20), 128 + signal.SIGTERM)
            first.terminate()
            self.assertEqual(first.wait(20), 7)
            self.assertEqual(locks.run("run", "job", "--", "true").returncode, 0)
            self.assertFalse((locks.directory / "ran").exists())

    def test_it_is_renewed_beyond_its_time(self):
        with Locks() as locks:
            first = locks.holder("job", "--ttl", "3s")
            waiting = locks.run("run", "job", "--wait", "5s", "--", "true")
            self.assertEqual((waiting.returncode, first.poll()), (75, None), waiting.stderr)

    def test_a_stalled_one_is_ended_and_its_token_is_the_lower(self):
        """The holder stops for longer than its time; another starts; the first ends its command as soon as it can."""
        with Locks() as locks:
            first = locks.holder("job", "--ttl", "1s")
            proc.stop_between_writes(first.pid)
            second = locks.holder("job", "--ttl", "30s", "--wait", "30s")
            first.send_signal(signal.SIGCONT)
            self.assertEqual(first.wait(30), 1)
            self.assertIn("job", first.stderr.read())
            tokens = [int(line.split()[1]) for line in locks.lines if line.startswith("job ")]
            self.assertLess(tokens[0], tokens[1])
            self.assertIsNone(second.poll(), "the first one's going took nothing from the second")
            self.assertTrue(locks.listed()["job"]["held"])

    def test_force_takes_it_and_the_command_is_ended(self):
        with Locks() as locks:
            first = locks.holder("job", "--ttl", "3s")
            refused = locks.run("release", "job")
            self.assertEqual(refused.returncode, 75)
            self.assertIn("--force", refused.stderr)
            before = locks.listed()["job"]["token"]
            taken = locks.run("release", "job", "--force")
            self.assertEqual(taken.returncode, 0)
            self.assertIn(str(before), taken.stdout)
            self.assertGreater(locks.listed()["job"]["token"], before, "never in silence: the token rises")
            self.assertEqual(first.wait(30), 1)
            self.assertIn("taken away", first.stderr.read())
            self.assertEqual(locks.lines[-1], "ended", "it had its SIGTERM")

    def test_a_command_that_stands_still_hears_that_the_lock_is_lost(self):
        with Locks() as locks:
            script = "trap 'echo ended >> $LOG' TERM; echo $$ >> $LOG; while :; do sleep 0.05; done"
            first = locks.start("run", "job", "--ttl", "3s", "--", "bash", "-c", script)
            wait_until(lambda: locks.lines, 20, lambda: "it runs")
            os.kill(int(locks.lines[0]), signal.SIGSTOP)
            locks.run("release", "job", "--force")
            self.assertEqual(first.wait(30), 1)
            self.assertEqual(locks.lines[-1], "ended", "SIGTERM came first")

    def test_a_command_that_ignores_term_is_killed_when_the_lock_is_lost(self):
        with Locks() as locks:
            script = "trap '' TERM; sleep 300 & echo $$ $! >> $LOG; while :; do sleep 0.1; done"
            first = locks.start("run", "job", "--ttl", "2s", "--", "bash", "-c", script)
            wait_until(lambda: locks.lines, 20, lambda: "it runs")
            locks.run("release", "job", "--force")
            self.assertEqual(first.wait(30), 1)
            for pid in locks.lines[0].split():
                self.assertFalse(pathlib.Path(f"/proc/{pid}/exe").exists(), "children too")

    def test_what_the_command_leaves_holds_the_lock(self):
        with Locks() as locks:
            fifo = locks.directory / "fifo"
            os.mkfifo(fifo)
            first = locks.start("run", "job", "--", "sh", "-c", "setsid cat \"$0\" > /dev/null & exit 5", str(fifo))
            end = os.open(fifo, os.O_WRONLY)
            self.assertIn("held for what it left", first.stderr.readline())
            self.assertEqual(locks.run("run", "job", "--", "true").returncode, 75)
            os.close(end)
            self.assertEqual(first.wait(30), 5)
            self.assertEqual(locks.run("run", "job", "--", "true").returncode, 0)

    def test_a_killed_one_takes_its_command_along(self):
        with Locks() as locks:
            first = locks.start("run", "job", "--ttl", "1s", "--", "sh", "-c", "echo $$ >> $LOG; exec sleep 300")
            wait_until(lambda: locks.lines, 20, lambda: "it runs")
            first.kill()
            first.wait(10)
            wait_until(
                lambda: not pathlib.Path(f"/proc/{locks.lines[0]}/exe").exists(), 10, lambda: "the command is gone")
            self.assertEqual(locks.run("run", "job", "--wait", "20s", "--", "true").returncode, 0)

    def test_signals_are_passed_on(self):
        with Locks() as locks:
            for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT):
                script = f"trap 'exit 9' {number.value}; echo here >> $LOG; while :; do sleep 0.05; done"
                lines = len(locks.lines)
                process = locks.start("run", "job", "--", "bash", "-c", script)
                wait_until(lambda: len(locks.lines) > lines, 20, lambda: "it runs")
                process.send_signal(number)
                self.assertEqual(process.wait(20), 9, number)

    def test_what_is_no_end_is_for_the_command_alone_and_what_is_ignored_stays_so(self):
        with Locks() as locks:
            # 143 of the child: it had SIGTERM, and no SIGUSR1 before.
            ended = "kill $!; wait $!; [ $? = 143 ] && exit 9; exit 8"
            script = f"trap '{ended}' USR1; sleep 300 & echo here >> $LOG; while :; do wait; done"
            process = locks.start("run", "job", "--", "bash", "-c", script)
            wait_until(lambda: locks.lines, 20, lambda: "it runs")
            process.send_signal(signal.SIGUSR1)
            self.assertEqual(process.wait(20), 9)
            os.mkfifo(f"{locks.log}.fifo")
            before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
            try:
                process = locks.start("run", "job", "--", "bash", "-c", "echo $$ >> $LOG; read -r line < $LOG.fifo; exit 5")
            finally:
                signal.signal(signal.SIGHUP, before)
            wait_until(lambda: len(locks.lines) == 2, 20, lambda: "it runs")
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGUSR2)
            self.assertEqual(process.wait(20), 128 + signal.SIGUSR2, "SIGHUP was passed on, as with nohup it must not be")

    def test_ctrl_z_does_not_stop_what_nobody_could_wake(self):
        with Locks() as locks:
            process = locks.start("run", "job", "--", "bash", "-c", "echo $$ >> $LOG; while :; do echo >> $LOG; sleep 0.02; done")
            wait_until(lambda: len(locks.lines) > 2, 20, lambda: "it runs")
            os.kill(int(locks.lines[0]), signal.SIGTSTP)
            lines = len(locks.lines)
            wait_until(lambda: len(locks.lines) > lines + 5, 20, lambda: "it goes on")
            process.terminate()
            self.assertEqual(process.wait(20), 128 + signal.SIGTERM)

    def test_on_a_terminal_the_command_reads_from_it_and_gives_it_back(self):
        with Locks() as locks:
            command = f"{programs.path('baton')} lock run job -- sh -c 'read line; echo got $line'; read more; echo back $more"
            pid, terminal = pty.fork()
            if not pid:
                os.execve("/bin/sh", ["sh", "-c", command], locks.environment)
            try:
                os.write(terminal, b"one\n")
                said = self.read_until(terminal, b"got one")
                os.write(terminal, b"two\n")
                self.read_until(terminal, b"back two")
                self.assertNotIn(b"back", said)
            finally:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(terminal)

    def read_until(self, terminal, words):
        said, end = b"", time.monotonic() + 20
        while words not in said:
            left = end - time.monotonic()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                self.fail(f"{words} was not said: {said}")
            said += os.read(terminal, 4096)
        return said

    def test_clean_forgets_what_is_free_and_says_so_before(self):
        with Locks() as locks:
            locks.run("run", "old", "--owner", "worker-1", "--", "true")
            locks.run("run", "older", "--owner", "worker-2", "--", "true")
            holder = locks.holder("job", "--owner", "worker-1")
            token = locks.listed()["old"]["token"]
            would = json.loads(locks.run("clean", "--dry-run", "--json").stdout)
            self.assertEqual((would["done"], would["forgotten"], would["held"]), (False, ["old", "older"], ["job"]))
            self.assertEqual(set(locks.listed()), {"old", "older", "job"})
            self.assertEqual(json.loads(locks.run("clean", "--owner", "worker", "--json").stdout)["forgotten"], [])
            self.assertEqual(json.loads(locks.run("clean", "--owner", "worker-1", "--json").stdout)["forgotten"], ["old"])
            self.assertEqual(set(locks.listed()), {"older", "job"})
            again = locks.run("run", "old", "--", "sh", "-c", "echo $BATON_LEASE_TOKEN")
            self.assertGreater(int(again.stdout), token, "a forgotten one's tokens go on rising")
            self.assertEqual(locks.run("clean", "--force").returncode, 64, "whose?")
            locks.run("clean", "--owner", "worker-1", "--force")
            self.assertEqual(holder.wait(60), 1)

    def test_people_see_who_has_it(self):
        with Locks() as locks:
            locks.holder("job", "--owner", "worker-1")
            locks.run("run", "done", "--", "true")
            text = locks.run("list").stdout.splitlines()
            self.assertRegex(text[0], "LOCK +HELD BY +PROVEN FOR +TOKEN")
            self.assertRegex(text[1], r"job +worker-1@\S+:\d+ +\d+s +\d+")
            self.assertRegex(text[2], r"done +nobody; last: ")
            self.assertTrue(all(len(line) <= 80 for line in text), text)
            locks.holder("odd", "--owner", "\x1b[31mred")
            busy = locks.run("run", "odd", "--", "true").stderr
            refused = locks.run("release", "odd").stderr
            self.assertIn("[31mred@", busy)
            for said in (locks.run("list").stdout, busy, refused, locks.run("release", "odd", "--force").stdout):
                self.assertNotIn("\x1b", said)

    def test_looking_makes_no_store(self):
        with Locks() as locks:
            for words in (("list",), ("release", "job"), ("clean",)):
                done = locks.run(*words)
                self.assertEqual(done.returncode, 0, done.stderr)
            self.assertFalse(pathlib.Path(locks.store).exists())

    def test_a_store_that_is_none_is_said_with_what_to_do(self):
        with Locks() as locks:
            pathlib.Path(locks.store).write_text("this is no database, and long enough to be looked at" * 50)
            for words in (("run", "job", "--", "touch", str(locks.directory / "ran")), ("list",)):
                done = locks.run(*words)
                self.assertEqual(done.returncode, 69, done.stderr)
                self.assertIn("not a database", done.stderr)
                self.assertIn("next:", done.stderr)
            self.assertFalse((locks.directory / "ran").exists())

    def handed_on(self, locks):
        """Held, refused to another, handed to one that waits, held again: what the second was told, and the holder."""
        first = locks.holder("job", "--ttl", "5s")
        busy = locks.run("run", "job", "--", "true")
        self.assertEqual(busy.returncode, 75, busy.stderr)
        second = locks.start("run", "job", "--wait", "60s", "--", "sh", "-c", "echo second $BATON_LEASE_TOKEN >> $LOG")
        self.assertIn("waiting for job", second.stderr.readline())
        began = time.monotonic()
        first.terminate()
        self.assertEqual((second.wait(30), first.wait(30)), (0, 7))
        self.assertLess(time.monotonic() - began, 2.5, "the poll alone takes 3 to 4 s")
        third = locks.holder("job", "--ttl", "5s")
        return busy, third

    def test_in_a_redis_the_same_holds_and_no_password_is_shown(self):
        with Locks() as locks, Redis("--requirepass", "hunter22") as redis:
            locks.store = f"redis+unix://:hunter22@{redis.socket}"
            busy, third = self.handed_on(locks)
            listed = locks.run("list", "--json")
            self.assertTrue(json.loads(listed.stdout)["locks"][0]["held"])
            locks.run("release", "job", "--force")
            self.assertEqual(third.wait(30), 1)
            tokens = [int(line.split()[1]) for line in locks.lines if " " in line]
            self.assertEqual(tokens, sorted(set(tokens)))
            locks.store = f"redis+unix://:hunter23@{redis.socket}"
            wrong = locks.run("run", "job", "--", "true")
            self.assertEqual(wrong.returncode, 69)
            self.assertIn("password is wrong", wrong.stderr)
            for text in (busy.stderr, listed.stdout, wrong.stderr, third.stderr.read()):
                self.assertNotIn("hunter", text)

    def test_in_a_postgresql_the_same_holds(self):
        with Postgres() as server, Locks() as locks:
            locks.store = f"postgresql://postgres:hunter22@/postgres?host={server.folder}"
            busy, third = self.handed_on(locks)
            self.assertTrue(locks.listed()["job"]["held"])
            locks.run("release", "job", "--force")
            self.assertEqual(third.wait(30), 1)
            locks.store = f"postgresql://postgres:hunter22@/none?host={server.folder}"
            missing = locks.run("list")
            self.assertEqual(missing.returncode, 69)
            for text in (busy.stderr, missing.stderr, third.stderr.read()):
                self.assertNotIn("hunter", text)

    def test_when_the_redis_goes_the_command_ends_before_the_lock_can_be_anothers(self):
        with Locks() as locks, Redis() as redis:
            locks.store = f"redis+unix://{redis.socket}"
            first = locks.holder("job", "--ttl", "3s")
            redis.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            self.assertEqual(first.wait(30), 1)
            self.assertLess(time.monotonic() - began, 8)
            said = first.stderr.read()
            self.assertIn("could not be renewed", said)
            self.assertEqual(locks.lines[-1], "ended", "SIGTERM came first")
            redis.process.send_signal(signal.SIGCONT)

    def test_a_redis_that_pauses_costs_nothing(self):
        with Locks() as locks, Redis() as redis:
            locks.store = f"redis+unix://{redis.socket}"
            first = locks.holder("job", "--ttl", "6s")
            redis.process.send_signal(signal.SIGSTOP)
            self.assertIn("does not answer", first.stderr.readline())
            redis.process.send_signal(signal.SIGCONT)
            # Why it does not is said as it becomes known.
            while "answers again" not in (said := first.stderr.readline()):
                self.assertIn("does not answer", said)
            self.assertIsNone(first.poll())

    def test_words_that_are_wrong(self):
        with Locks() as locks:
            for words in (("run", "job"), ("run", "Job!", "--", "true"), ("run", "job", "--ttl", "10ms", "--", "true")):
                self.assertEqual(locks.run(*words).returncode, 64, words)
            self.assertEqual(locks.run("run", "job", "--store", "nothing://x", "--", "true").returncode, 64)
            self.assertFalse(pathlib.Path(locks.store).exists())

    def test_without_a_store_each_user_has_one(self):
        with Locks() as locks:
            os.chmod(locks.directory, 0o777)
            program = shutil.copy(programs.path("baton"), locks.directory)
            become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
            for variable, place in (("XDG_STATE_HOME", "state/baton"), ("HOME", "home/.local/state/baton")):
                environment = {"PATH": "/usr/bin:/bin", variable: str(locks.directory / place.partition("/")[0])}
                done = subprocess.run(
                    [*become, program, "lock", "run", "job", "--", "true"], env=environment, timeout=30, cwd="/",
                    capture_output=True, text=True,
                )  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stderr)
                store = locks.directory / place / "leases.db"
                self.assertTrue(store.exists())
                self.assertEqual(store.parent.stat().st_mode & 0o777, 0o700, "nobody else's")
