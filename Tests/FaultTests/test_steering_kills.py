"""batond is killed between every two calls by which it steers clients, under load, with one and with two sockets, also with
two that take datagrams: what waits in any queue is served, by a generation that was proved, and nobody is refused.

The short form kills a reload at every other point (BATON_SEED), BATON_FAULTS=all at each.
"""

import os
import re
import signal
import threading
import time
import unittest

from kit import fixtures, http
from kit.forms import WHOLE, dice
from kit.load import Load
from kit.manager import Client, Datagram, ask, check_served, datagrams, fill, managed, ports, untaken, with_sockets
from kit.runner import within
from kit.varlink import Closed, VarlinkError
from kit.waiting import wait_until


# From one life's point to the next one's.
STEP = 1 if WHOLE else 2


class Reloads:
    """Life after life of one service: each is killed at the next point of a reload, until a reload comes to its end.
    `reached` are the points of that last one, which was whole: how many there are can differ by one from life to life."""

    def __init__(self, test, supervisor, first, bad=False):
        self.first = first
        self.test, self.supervisor, self.bad = test, supervisor, bad
        self.log = supervisor.of.folder / "points"

    def points(self):
        text = self.log.read_text() if self.log.exists() else ""
        self.log.write_text("")
        return [line.partition(" ")[2] for line in text.splitlines()]

    def reload(self):
        """Asks for it without waiting; whether it came to its end is seen at batond."""

        def ask():
            try:
                self.supervisor.call("Reload", 20, wait=True)
            except (VarlinkError, Closed, OSError, ValueError):
                pass

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        return thread

    def life(self, number):
        """One reload that is killed at the point of this number; False when it ended before."""
        of, supervisor = self.supervisor.of, self.supervisor
        colour = f"c{number}"
        if self.bad:
            of.bad("answers-500", sockets=list(of.sockets), workers=1)
        else:
            of.environment["COLOUR"] = colour
        of.write()
        before = http.ask(of.port, "/env?COLOUR").body
        asked = self.reload()
        asked.join(20)
        # A killed one is gone; one that was not has closed its old listener a moment after it has answered, on a busy machine.
        try:
            wait_until(lambda: supervisor.process.poll() is not None, 5)
        except AssertionError:
            self.reached = self.points()
            return False
        self.test.assertEqual(supervisor.process.poll(), -signal.SIGKILL, f"point {number}")
        supervisor.fallen()
        reached = self.points()
        clients = [client for name, port in ports(supervisor).items() for client in fill(supervisor, name, port)]
        supervisor.restart(**self.environment(number + STEP))
        try:
            check_served(self.test, supervisor, clients)
            # What serves was proved, whichever of the two it is, and every socket leads to the same.
            allowed = {before} if self.bad else {before, colour}
            udp = datagrams(supervisor)
            asked = [port for name, port in ports(supervisor).items() if name not in udp for _ in range(4)]
            seen = {http.ask(port, "/env?COLOUR").body for port in asked}
            self.test.assertEqual(len(seen), 1, seen)
            self.test.assertLessEqual(seen, allowed)
            if udp:
                met = {Datagram.generation(port) for port in udp.values() for _ in range(4)}
                self.test.assertEqual(met, {supervisor.status()["serving"]})
        except BaseException:
            print(f"killed at {number}: {reached[-3:]}")
            raise
        return True

    def environment(self, number):
        return {"BATON_KILL_AT": str(number), "BATON_KILL_FROM": "reload", "BATON_KILL_LOG": str(self.log)}

    def all(self):
        number, lives = self.first, 0
        while self.life(number):
            number, lives = number + STEP, lives + 1
        return lives


def refused(load):
    return load.report.json["failures"].get("refused", 0)


class EveryCall(unittest.TestCase):
    def walk(self, sockets, bad=False, change=None, udp=()):
        def settings(made):
            with_sockets(*sockets, udp=udp)(made)
            if change:
                change(made)

        first = int(os.environ.get("BATON_KILL_FIRST") or 1 + dice(self.id()).randrange(STEP))
        with managed(settings, start_environment={"BATON_KILL_AT": str(first), "BATON_KILL_FROM": "reload"}) as it:
            reloads = Reloads(self, it, first, bad)
            it.environment.pop("BATON_KILL_AT", None)
            # A batond that is killed while it asks a worker resets what it asked with.
            with Load(it.of.port, 100, "--mode", "new", "--timeout", "20", resets=True) as load:
                lives = reloads.all()
            print(f"{lives} kills, {load.report}; points:\n  " + "\n  ".join(reloads.reached))
            self.assertEqual(refused(load), 0, load.report)
            # What was being answered is cut: a worker had taken each that failed.
            self.assertLessEqual(untaken(it, load), 0, load.report)
            self.assertLessEqual(load.report.failed, lives, load.report)
            if bad:
                self.assertEqual(fixtures.counts(it.of.bad_counts)["clients"], 0)
            return lives, reloads.reached

    @within(280)
    def test_of_a_reload_with_one_socket(self):
        lives, reached = self.walk(["http"])
        for word in ("open", "store", "attach", "record", "close", "shutdown", "forget"):
            self.assertTrue(any(word in point for point in reached), word)
        self.assertGreaterEqual(lives, 15 // STEP)

    @within(400)
    def test_of_a_reload_with_two_sockets(self):
        lives, reached = self.walk(["http", "admin"])
        self.assertGreaterEqual(lives, 30 // STEP)

    @within(400)
    def test_of_a_reload_with_two_that_take_datagrams(self):
        _, reached = self.walk(["http"], udp=["echo", "names"])
        # Each twice: when the new one takes over, and when the old one is gone.
        self.assertEqual(len([each for each in reached if re.match("after attach.*udp:", each)]), 4)

    @within(280)
    def test_of_a_reload_that_comes_in_batches(self):
        def rolling(made):
            made.handover |= {"strategy": "rolling", "trial": {"batch": 1, "for": "0s"}}
            made.engines["web"]["workers"] = 2

        lives, _ = self.walk(["http"], change=rolling)
        self.assertGreaterEqual(lives, 20 // STEP)

    @within(280)
    def test_of_a_reload_that_is_refused(self):
        lives, _ = self.walk(["http"], bad=True)
        self.assertGreaterEqual(lives, 15 // STEP)


class Recovery(unittest.TestCase):
    """A crash while a crash is being recovered from."""

    @within(280)
    def test_at_every_call_of_it(self):
        self.walk("http", "admin")

    @within(280)
    def test_at_every_call_of_it_with_two_that_take_datagrams(self):
        self.walk("http", udp=("echo", "names"))

    def walk(self, *names, udp=()):
        with managed(with_sockets(*names, udp=udp)) as it:
            it.of.bad("never-ready", sockets=[*names, *udp], workers=1, start_timeout="60s")
            it.of.write()
            it.signal(signal.SIGHUP)
            wait_until(lambda: self.are_stored(it, 2), 10)
            it.crash()
            clients = [client for name, port in ports(it).items() for client in fill(it, name, port, 2)]
            number, log = 0, it.of.folder / "points"
            while True:
                number += 1
                log.write_text("")
                it.start(BATON_KILL_AT=str(number), BATON_KILL_LOG=str(log))
                if not self.is_killed(it):
                    break
                it.fallen()
                # More of them each time, wherever the kernel leads them now.
                clients += [ask(it, name, port) for name, port in ports(it).items()]
            it.crash()
            clients += [ask(it, name, port) for name, port in ports(it).items()]
            it.restart()
            statuses = [client.status() for client in clients]
            lost = [status for status in statuses if status != 200]
            # Those that a worker had taken when it was killed were being answered: none was lost that no worker had taken.
            self.assertLessEqual(len(lost), number, f"{lost} of {len(statuses)}")
            counts, sent = it.of.counts(), sum(isinstance(client, Datagram) for client in clients)
            self.assertGreaterEqual(counts["datagrams"], sent)
            self.assertGreaterEqual(counts["connections"] - counts["probes"] - counts["health"], len(clients) - sent)
            self.assertFalse([one for one in lost if "refused" in str(one).lower()], lost)
            check_served(self, it, [ask(it, name, port) for name, port in ports(it).items()])
            self.assertEqual(http.ask(it.of.port, "/env?COLOUR").body, "blue")
            print(f"{number} kills, {len(statuses)} clients, {len(lost)} cut")
            self.assertGreater(number, 10)

    def are_stored(self, it, each):
        return all(len(it.stored(name + ".")) == each for name in it.of.sockets)

    def is_killed(self, it):
        """Whether it ended by itself, or has recovered all there is."""

        def end():
            if it.process.poll() is not None:
                return "killed"
            try:
                is_done = it.status()["state"] == "serving" and self.are_stored(it, 1)
            except (Closed, OSError, ValueError):
                return None
            return "recovered" if is_done else None

        return wait_until(end, 20, lambda: f"one of both: {it.log()[-3000:]}") == "killed"

    @within(120)
    def test_twenty_crashes_in_ten_seconds_lose_nothing(self):
        with managed(with_sockets("http")) as it:
            clients, began = [], time.monotonic()
            for _ in range(20):
                if it.process.poll() is not None:
                    said = len(it.log())
                    it.start()
                    wait_until(lambda: len(it.log()) > said, 10, "it to have begun")
                it.crash()
                clients.append(Client(it.of.port))
            took = time.monotonic() - began
            it.restart()
            statuses = [client.status() for client in clients]
            print(f"20 crashes in {took:.1f} s")
            self.assertLess(took, 10)
            cut = [status for status in statuses if status != 200]
            self.assertFalse([one for one in cut if "refused" in str(one).lower()], cut)
            self.assertEqual(statuses[-1], 200)
            check_served(self, it, [Client(it.of.port)])
