"""What a store of leases can do to a service: stand still, forget, refuse, answer nonsense. Nothing runs twice."""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from kit import naive, proc, programs
from kit.leased import ENGINE, Hosts
from kit.locks import Redis
from kit.manager import managed
from kit.runner import within
from kit.waiting import holds_for, wait_until


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Nonsense:
    """Listens at a path and answers everything with what no Redis says."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="baton-nonsense-")
        self.path = self.folder.name + "/socket"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(64)
        self.peers = []
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        while True:
            try:
                peer, _ = self.socket.accept()
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                self.peers.append(peer)
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in [self.socket, *self.peers]:
            each.close()
        self.folder.cleanup()


@within(200)
class Redises(unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(Redis())

    def url(self, secret=""):
        return {"redis": {"url": f"redis+unix://{secret}{self.redis.socket}"}}

    def cli(self, *words):
        return subprocess.run(
            [programs.tool("redis-cli", "/usr/bin"), "-s", self.redis.socket, *words], capture_output=True, text=True,
            check=True, timeout=30).stdout.strip()

    def test_a_short_pause_changes_nothing(self):
        with Hosts(self.url(), ttl="4s") as hosts:
            hosts.start("a")
            hosts.wait_for_work("a")
            hosts.start("b")
            self.cli("CLIENT", "PAUSE", "900", "ALL")
            began = now()
            wait_until(lambda: hosts.writes[-1].at > began + 5, 20, hosts.logs)
            self.assertEqual({(each.owner, each.token) for each in hosts.replay(self)}, {("a", hosts.writes[0].token)})

    def test_a_long_pause_ends_it_in_time_and_somebody_goes_on_after_it(self):
        for stubborn in (False, True):
            with self.subTest(stubborn=stubborn), Hosts(self.url(), ttl="2s", stubborn=stubborn) as hosts:
                first = hosts.start("a")
                work = hosts.wait_for_work("a")
                hosts.start("b")
                self.cli("CLIENT", "PAUSE", "5000", "ALL")
                paused = now()
                first.wait_for_log("cannot be asked", 10)
                first.wait_for_log("could not be renewed in time", 10)
                after = wait_until(
                    lambda: next((each for each in hosts.writes if each.token > work.token), None), 20, hosts.logs)
                writes = hosts.replay(self)
                last = max(each.at for each in writes if each.token == work.token)
                self.assertLess(last, paused + 2, "its engine works no longer than the lease is proven")
                self.assertGreater(after.at, paused + 4)
                self.assertLess(after.at, paused + 5 + 2 + 1.5, "nobody waits for ever")

    def test_a_redis_that_forgets_everything(self):
        with Hosts(self.url(), ttl="3s") as hosts:
            hosts.start("a")
            work = hosts.wait_for_work("a")
            hosts.start("b")
            self.cli("FLUSHALL")
            wait_until(lambda: hosts.writes[-1].token > work.token and hosts.writes[-1].accepted, 20, hosts.logs)
            flushed = now()
            wait_until(lambda: hosts.writes[-1].at > flushed + 1.5, 10, hosts.logs)
            # Until its next renewal the old one may work on beside the new one: refused by its token.
            hosts.replay(self, stale_from=("a",))
            late = [each for each in hosts.writes if not each.accepted]
            self.assertTrue(all(each.at < flushed + 1.5 for each in late), "ended by its next renewal")

            def states():
                return {host.status()["leases"][0]["state"] for host in hosts.hosts.values()}

            wait_until(lambda: states() == {"held", "waiting"}, 10, lambda: f"what was lost is waited for again: {states()}")

    def test_a_redis_that_is_away_for_a_while(self):
        with Hosts(self.url(), ttl="2s") as hosts:
            hosts.start("a")
            work = hosts.wait_for_work("a")
            self.redis.process.kill()
            self.redis.process.wait()
            gone = now()
            os.unlink(self.redis.socket)
            hosts.hosts["a"].wait_for_log("could not be renewed in time", 10)
            self.assertEqual(hosts.hosts["a"].status()["state"], "serving")
            self.redis.process = subprocess.Popen(
                [programs.tool("redis-server", "/usr/bin"), "--port", "0", "--unixsocket", self.redis.socket, "--save", ""],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=self.redis.folder.name)
            hosts.wait_for_work("a", above=work.token)
            writes = hosts.replay(self)
            self.assertLess(max(each.at for each in writes if each.token == work.token), gone + 2)

    def test_a_full_redis(self):
        with Hosts(self.url(), ttl="2s") as hosts:
            hosts.start("a")
            work = hosts.wait_for_work("a")
            self.cli("CONFIG", "SET", "maxmemory", "1")
            hosts.hosts["a"].wait_for_log("could not be renewed in time", 10)
            self.cli("CONFIG", "SET", "maxmemory", "0")
            hosts.wait_for_work("a", above=work.token - 1)
            wait_until(lambda: hosts.hosts["a"].status()["engines"][0]["state"] == "ready", 20, hosts.logs)
            hosts.replay(self)

    def test_a_wrong_password_runs_nothing_and_says_why(self):
        self.cli("CONFIG", "SET", "requirepass", "right")
        with Hosts(self.url("user:hunter2@"), ttl="2s") as hosts:
            host = hosts.start("a")
            host.wait_for_log("the store of leases cannot be asked", 10)
            self.assertNotIn("hunter2", host.log())
            self.assertIn("cannot be asked", host.status()["text"])
            shown = host.baton("leases")
            self.assertEqual(shown.returncode, 0)
            self.assertIn("waiting", shown.stdout)
            self.assertIn("could not be asked", shown.stderr)
            doctor = host.baton("doctor", "--settings", str(host.of.file), "--json")
            self.assertIn("lease-store", [each["id"] for each in json.loads(doctor.stdout)["findings"]])
            self.assertNotIn("hunter2", shown.stdout + shown.stderr + doctor.stdout)
            holds_for(lambda: not hosts.writes, 0.5)
            began = time.monotonic()
            self.assertEqual(host.stop()[0], 0)
            self.assertLess(time.monotonic() - began, 8, "its slice, not longer")

    def test_a_server_that_answers_nonsense(self):
        with Nonsense() as nonsense, Hosts({"redis": {"url": f"redis+unix://{nonsense.path}"}}, ttl="2s") as hosts:
            host = hosts.start("a")
            host.wait_for_log("what answers there is no Redis", 10)
            holds_for(lambda: not hosts.writes, 0.5)
            self.assertEqual(host.status()["state"], "serving")

    def test_another_programs_key_is_left_alone(self):
        self.cli("SET", "{baton}:lease:robots", "theirs")
        with Hosts(self.url(), ttl="2s") as hosts:
            host = hosts.start("a")
            host.wait_for_log("cannot be asked", 10)
            holds_for(lambda: not hosts.writes, 0.5)
            self.assertEqual(self.cli("GET", "{baton}:lease:robots"), "theirs")

    def test_force_takes_it_and_the_old_token_counts_no_more(self):
        with Hosts(self.url(), ttl="6s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            taken = subprocess.run(
                [programs.path("baton"), "lock", "release", "robots", "--force", "--store", self.url()["redis"]["url"]],
                capture_output=True, text=True, timeout=30)
            self.assertEqual(taken.returncode, 0, taken.stderr)
            hosts.wait_for_work("a", above=work.token)
            hosts.replay(self)
            self.assertIn("was taken away", host.log())

    def test_h16_a_connection_that_is_well_lives_on(self):
        def clients():
            lines = self.cli("CLIENT", "LIST").splitlines()
            return {line.split()[0] for line in lines if "cmd=client" not in line}

        with Hosts(self.url(), ttl="1s") as hosts:
            hosts.start("a")
            work = hosts.wait_for_work("a")
            limit = 0.5
            self.assertLess(
                naive.connection(self.redis.socket, limit), limit + 2, "the naive form's dies though all is well")
            before = clients()
            self.assertEqual(len(before), 2, "one for questions, one for news")
            # Four times as long as a lease lasts, sixteen times as long as an answer is waited for.
            wait_until(lambda: hosts.writes[-1].at > work.at + 4, 20, hosts.logs)
            self.assertEqual(clients(), before)
            self.assertEqual({each.token for each in hosts.replay(self)}, {work.token})

    def test_h17_serving_and_working_are_told_apart(self):
        def never_ready(made):
            made.engines["robots"].update({"command": ["/bin/sleep", "100"], "start-timeout": "60s"})

        def seen(host):
            lease = host.status()["leases"][0]
            return host.status()["state"], lease["state"], lease["works"]

        with Hosts(self.url(), ttl="20s") as hosts:
            first = hosts.start("a", never_ready)
            wait_until(lambda: first.status()["leases"][0]["state"] == "held", 10, hosts.logs)
            self.assertFalse(seen(first)[2], "it has the lease, and nothing works under it")
            second = hosts.start("b")
            second.wait_for_log("waiting for lease robots", 10)
            self.assertEqual(seen(second), ("serving", "waiting", False))
            self.assertEqual(
                [naive.health(first), naive.health(second)], [200, 200], "the naive form takes both for well")
            # Neither works, and that is seen: who has it, that nothing works under it, and for how long.
            shown = first.baton("leases").stdout.splitlines()[1].split()
            self.assertEqual((shown[2:5], shown[5]), (["this", "host", "yes"], "no"))
            first.stop()
            hosts.wait_for_work("b")
            self.assertEqual(seen(second), ("serving", "held", True))

    def test_in_what_order_a_host_goes(self):
        monitor = subprocess.Popen(
            [programs.tool("redis-cli", "/usr/bin"), "-s", self.redis.socket, "MONITOR"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(monitor.communicate)
        self.addCleanup(monitor.kill)
        self.assertEqual(monitor.stdout.readline(), "OK\n")
        with Hosts(self.url(), ttl="20s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            hosts.start("b")
            hosts.hosts["b"].wait_for_log("waiting for lease robots", 10)
            self.assertEqual(host.stop()[0], 0)
            hosts.wait_for_work("b", above=work.token)
            self.cli("ECHO", "over")
            seen = []
            for line in monitor.stdout:
                at, words = line.split(" ", 1)
                if '"over"' in words:
                    break
                if '"DEL"' in words or '"PUBLISH"' in words:
                    seen.append((words.split('"', 1)[1].strip(), float(at)))
            owners = self.cli("KEYS", "{baton}:instance:*").splitlines()
            self.assertEqual(len(owners), 1, "the other one's")
            self.assertRegex("\n".join(words for words, _ in seen), (
                r'\ADEL" "{baton}:lease:robots"\nPUBLISH" "{baton}:news" "robots"\nDEL" "{baton}:instance:\w+"\Z'))
            self.assertNotIn(owners[0], seen[-1][0])
            last = max(each.at for each in hosts.replay(self) if each.token == work.token)
            self.assertLess(last + time.time() - now(), seen[0][1] + 0.001, "its engine was gone before")

    def test_what_people_see(self):
        with Hosts(self.url(), ttl="20s") as hosts:
            first = hosts.start("a")
            work = hosts.wait_for_work("a")
            second = hosts.start("b")
            second.wait_for_log("waiting for lease robots", 10)
            held = json.loads(first.baton("leases", "--json").stdout)["leases"][0]
            waits = json.loads(second.baton("leases", "--json").stdout)["leases"][0]
            self.assertEqual((held["state"], held["token"], held["works"]), ("held", work.token, True))
            self.assertTrue(0 < held["remainingMs"] <= 20_000)
            self.assertEqual((waits["state"], waits["holderToken"], waits["works"]), ("waiting", work.token, False))
            self.assertIn("a@", waits["holder"])
            self.assertIn("this host", first.baton("leases").stdout)
            self.assertIn("lease robots held", first.status()["text"])


@within(200)
class Engines(unittest.TestCase):
    def test_a_reload_of_the_holder_leaves_the_warm_one_where_it_is(self):
        with Hosts(ttl="20s", warm=True) as hosts:
            first = hosts.start("a")
            work = hosts.wait_for_work("a")
            second = hosts.start("b")
            warm = wait_until(lambda: second.pids("robots"), 10, hosts.logs)
            for host in (first, second):
                host.of.engines["robots"]["environment"] = {"X": "1"}
                self.assertEqual(host.reload()["outcome"], "done")
            count = len(hosts.writes)
            wait_until(lambda: len(hosts.writes) > count + 20, 10, hosts.logs)
            self.assertEqual({(each.owner, each.token) for each in hosts.replay(self)}, {("a", work.token)})
            # Its own reload starts it anew, and it waits as before.
            fresh = wait_until(lambda: second.pids("robots"), 10, hosts.logs)
            self.assertNotEqual(fresh, warm)
            self.assertEqual(second.status()["leases"][0]["state"], "waiting")
            first.stop()
            hosts.wait_for_work("b", above=work.token)
            self.assertEqual(second.pids("robots"), fresh)
            hosts.replay(self)

    def test_a_warm_one_is_ready_before_and_works_only_after(self):
        with Hosts(ttl="20s", warm=True) as hosts:
            first = hosts.start("a")
            work = hosts.wait_for_work("a")
            second = hosts.start("b")
            warm = wait_until(lambda: second.pids("robots"), 10, hosts.logs)
            self.assertNotIn("BATON_LEASE_TOKEN", proc.environment(warm[0]))
            holds_for(lambda: {each.owner for each in hosts.writes} == {"a"}, 0.3)
            first.stop()
            hosts.wait_for_work("b", above=work.token)
            self.assertEqual(second.pids("robots"), warm, "the same process")
            hosts.replay(self)

    def test_an_upgrade_keeps_it(self):
        with Hosts(ttl="4s") as hosts:
            host = hosts.start("a")
            hosts.wait_for_work("a")
            hosts.start("b")
            pids = host.pids("robots")
            self.assertEqual(host.call("Upgrade", within=60, wait=True)["verdict"]["outcome"], "done")
            began = now()
            wait_until(lambda: hosts.writes[-1].at > began + 5, 20, hosts.logs)
            self.assertEqual(host.pids("robots"), pids)
            self.assertEqual({(each.owner, each.token) for each in hosts.replay(self)}, {("a", hosts.writes[0].token)})

    def test_a_crash_on_the_same_host_has_it_again_at_once(self):
        def leased(made):
            (made.folder / "engine.py").write_text(ENGINE)
            made.engines["robots"] = made.idle(
                command=["/usr/bin/python3", "-S", f"{made.folder}/engine.py", f"{made.folder}/sink", "a", "no"],
                lease="robots")
            made.more = {"leases": {"ttl": "60s"}}

        with managed(leased) as supervisor:
            sink = supervisor.of.folder / "sink"
            wait_until(lambda: sink.exists() and sink.read_text(), 10, "work")
            supervisor.crash()
            lines = len(sink.read_text().splitlines())
            began = time.monotonic()
            supervisor.restart()
            wait_until(lambda: len(sink.read_text().splitlines()) > lines, 20, supervisor.log)
            self.assertLess(time.monotonic() - began, 5, "not after its time")
            self.assertNotIn("refused", sink.read_text())

    def test_one_that_is_given_up_leaves_it_to_others(self):
        def crashes(made):
            made.engines["robots"].update(
                {"command": ["/bin/false"], "restart": {"delay": "1ms", "max-delay": "2ms", "give-up-after": 2}})
            made.engines["other"] = made.idle()

        with Hosts(ttl="20s") as hosts:
            hosts.start("a", crashes)
            hosts.hosts["a"].wait_for_log("lease robots is given back", 20)
            hosts.start("b")
            hosts.wait_for_work("b")
            hosts.replay(self)

    def test_a_file_that_cannot_be_one(self):
        with Hosts(ttl="2s") as hosts:
            (hosts.folder / "leases.db").mkdir()
            host = hosts.start("a")
            host.wait_for_log("cannot be asked", 10)
            self.assertEqual(host.status()["state"], "serving")
            holds_for(lambda: not hosts.writes, 0.3)
            (hosts.folder / "leases.db").rmdir()
            hosts.wait_for_work("a")

    def test_a_file_of_the_grant_is_there_as_long_as_it_is_held(self):
        with Hosts(ttl="2s") as hosts:
            host = hosts.start("a")
            work = hosts.wait_for_work("a")
            file = pathlib.Path(host.runtime / "lease" / "robots")
            told = dict(line.split("=") for line in file.read_text().split())
            self.assertEqual(int(told["token"]), work.token)
            self.assertTrue(now() < float(told["expires"]) < now() + 2.1)
            wait_until(lambda: dict(line.split("=") for line in file.read_text().split())["expires"] != told["expires"], 5)
            host.stop()
            self.assertFalse(file.exists())


if __name__ == "__main__":
    unittest.main()
