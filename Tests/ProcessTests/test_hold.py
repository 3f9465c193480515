"""A release by name, and a new generation that waits for a word before any client meets it."""

import array
import os
import pathlib
import signal
import socket
import threading
import unittest

from kit import http, proc, varlink
from kit.load import Load
from kit.runner import within
from kit.supervisor import running
from kit.waiting import let_pass, wait_until


def releases(*names):
    """A change of a service: it has these releases, and `current` names the first."""

    def change(made):
        for name in names:
            (made.app / "releases" / name).mkdir(parents=True)
        (made.app / "current").symlink_to(f"releases/{names[0]}")
        made.engines["web"]["prove"]["path"] = "/health"

    return change


class Held:
    """A reload that holds; `operation` once it is held."""

    def __init__(self, supervisor, release, ms=60_000):
        self.connection = varlink.Connection(supervisor.control, 60)
        self.connection.send("Reload", more=True, release=release, holdMs=ms)

    def wait(self):
        """Until the candidate waits; what was said of it."""
        while True:
            progress = self.connection.answer()["progress"]
            if "held" in progress:
                self.operation = progress["operation"]
                return progress["held"]

    def verdict(self):
        """The last reply; of an act that failed its parameters."""
        while True:
            message = self.connection.receive()
            if not message.get("continues"):
                return message["parameters"].get("verdict", message["parameters"])

    def leave(self):
        self.connection.close()


def probe(supervisor, operation, name="http"):
    """What the candidate answers to a question over the way that Probe gives."""
    with varlink.Connection(supervisor.control) as connection:
        connection.send("Probe", operation=operation, socket=name)
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        data, ancillary, _, _ = connection.socket.recvmsg(65536, room)
        connection.left = data
        way = connection.answer()
    if "path" in way:
        return http.ask(way["path"])
    passed = array.array("i")
    passed.frombytes(ancillary[0][2][: passed.itemsize])
    with socket.socket(fileno=passed[0]) as asked:
        asked.settimeout(10)
        asked.setblocking(True)
        asked.connect((way["host"], way["port"]))
        client = http.Client.__new__(http.Client)
        client.socket, client.left = asked, b""
        return client.ask("/", keep=False)


class Release(unittest.TestCase):
    def test_a_reload_runs_the_release_it_names_and_a_crash_the_current_one(self):
        with running(releases("r1", "r2")) as supervisor:
            self.assertEqual(http.ask(supervisor.of.port).release, "r1")
            verdict = supervisor.call("Reload", 60, release="r2")["verdict"]
            self.assertEqual((verdict["outcome"], verdict["release"], verdict["generation"]), ("done", "r2", 2))
            self.assertEqual(supervisor.status()["release"], "r2")
            answer = http.ask(supervisor.of.port)
            self.assertEqual(answer.release, "r2")
            self.assertEqual(os.readlink(f"/proc/{answer.pid}/cwd"), str(supervisor.of.app / "releases/r2"))
            self.assertEqual(os.readlink(supervisor.of.app / "current"), "releases/r1")
            events = supervisor.call("Events", limit=50)["events"]
            self.assertTrue(any(e["kind"] == "generation-serving" and e.get("release") == "r2" for e in events))
            # A worker that crashes comes back from the release of its generation, not from what current names.
            os.kill(answer.pid, signal.SIGKILL)
            wait_until(lambda: len(supervisor.pids()) == 2, 10, "the worker to be back")
            self.assertEqual({a.release for a in http.asks(supervisor.of.port, 20)}, {"r2"})
            # A reload without a name goes to current.
            self.assertEqual(supervisor.reload()["release"], "r1")

    def test_what_is_no_release_is_refused_with_the_reason_and_the_old_one_serves(self):
        with running(releases("r1", "r2")) as supervisor:
            lies = supervisor.of.app / "releases"
            (lies / "link").symlink_to("r2")
            (lies / "file").write_text("")
            refused = [
                ("r9", "there is no release r9"), ("link", "it is no directory"), ("file", "it is no directory"),
                ("../releases/r2", "no name of a release"), ("..", "no name"), ("", "no name"), ("r2/", "no name"),
                (".tmp-1", "no name"), ("a" * 300, "no name"),
            ]  # fmt: skip
            for name, reason in refused:
                with self.subTest(name), self.assertRaises(varlink.VarlinkError) as caught:
                    supervisor.call("Reload", 60, release=name)
                said = caught.exception.parameters
                self.assertIn(reason, said["what"])
                self.assertEqual((said["exitCode"], said["outcome"], said["release"]), (1, "failed", "r1"))
            self.assertEqual(http.ask(supervisor.of.port).generation, 1)

    def test_the_command_takes_a_release(self):
        with running(releases("r1", "r2")) as supervisor:
            done = supervisor.baton("reload", "--release", "r2")
            self.assertEqual(done.returncode, 0, done.stderr)
            refused = supervisor.baton("reload", "--release", "r3")
            self.assertEqual(refused.returncode, 1, refused.stderr)
            self.assertIn("there is no release r3", refused.stderr)
            self.assertEqual(http.ask(supervisor.of.port).release, "r2")


class Hold(unittest.TestCase):
    @within(60)
    def test_no_client_meets_what_is_held_and_probes_meet_nothing_else(self):
        with running(releases("r1", "r2")) as supervisor:
            with Load(supervisor.of.port, 800, "--mode", "new") as meanwhile:
                held = Held(supervisor, "r2")
                said = held.wait()
                self.assertEqual((said["generation"], said["release"]), (2, "r2"))
                status = supervisor.status()
                self.assertEqual((status["handover"]["phase"], status["handover"]["release"]), ("holding", "r2"))
                asked = supervisor.of.counts()["clients"]
                self.assertEqual({probe(supervisor, held.operation).release for _ in range(50)}, {"r2"})
                self.assertEqual({a.release for a in http.asks(supervisor.of.port, 100)}, {"r1"})
                wait_until(lambda: supervisor.of.counts()["clients"] > asked + 500, 10, "clients during the hold")
            with Load(supervisor.of.port, 800, "--mode", "new") as load:
                wait_until(lambda: supervisor.of.counts()["clients"] > asked + 800, 10, "clients of the second load")
                supervisor.call("Commit", operation=held.operation)
                verdict = held.verdict()
                self.assertEqual((verdict["outcome"], verdict["release"]), ("done", "r2"))
                self.assertEqual({a.release for a in http.asks(supervisor.of.port, 50)}, {"r2"})
                asked = supervisor.of.counts()["clients"]
                wait_until(lambda: supervisor.of.counts()["clients"] > asked + 300, 10, "clients after the commit")
            self.assertEqual((meanwhile.report.failed, load.report.failed), (0, 0), f"{meanwhile.report} {load.report}")
            self.assertEqual(set(meanwhile.report.versions), {"r1"})
            self.assertGreater(load.report.versions["r2"], 200)

    @within(60)
    def test_what_is_called_off_met_nobody(self):
        with running(releases("r1", "r2")) as supervisor:
            with Load(supervisor.of.port, 800, "--mode", "new") as load:
                for _ in range(5):
                    held = Held(supervisor, "r2")
                    held.wait()
                    self.assertEqual(probe(supervisor, held.operation).release, "r2")
                    supervisor.call("Abort", operation=held.operation)
                    verdict = held.verdict()
                    self.assertEqual((verdict["outcome"], verdict["exitCode"]), ("failed", 1))
                    self.assertIn("called it off", verdict["what"])
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(set(load.report.versions), {"r1"})

    @within(60)
    def test_whoever_holds_and_leaves_gives_it_up(self):
        with running(releases("r1", "r2")) as supervisor:
            with Load(supervisor.of.port, 400, "--mode", "new") as load:
                # While it is held, and while it still starts.
                for early in (False, True):
                    held = Held(supervisor, "r2")
                    if early:
                        supervisor.wait_status(lambda s: "handover" in s, what="a handover")
                    else:
                        held.wait()
                    held.leave()
                    supervisor.wait_status(lambda s: "handover" not in s and s["state"] == "serving", what="the end")
                    self.assertIn("left before saying commit", supervisor.status()["lastHandover"]["reason"])
            self.assertEqual(load.report.failed, 0, load.report)
            self.assertEqual(set(load.report.versions), {"r1"})
            self.assertEqual(supervisor.call("Reload", 60, release="r2")["verdict"]["outcome"], "done")

    def test_a_hold_without_a_word_ends_by_itself(self):
        with running(releases("r1", "r2")) as supervisor:
            held = Held(supervisor, "r2", ms=300)
            held.wait()
            verdict = held.verdict()
            self.assertIn("waited 300ms, and nobody said commit", verdict["what"])
            self.assertEqual(http.ask(supervisor.of.port).release, "r1")
            with self.assertRaises(varlink.VarlinkError) as caught:
                supervisor.call("Commit", operation=held.operation)
            self.assertEqual(caught.exception.name, "NotHeld")

    def test_a_candidate_that_dies_while_it_is_held_is_refused(self):
        with running(releases("r1", "r2")) as supervisor:
            held = Held(supervisor, "r2")
            held.wait()
            os.kill(probe(supervisor, held.operation).pid, signal.SIGKILL)
            verdict = held.verdict()
            self.assertEqual(verdict["outcome"], "failed")
            self.assertIn("SIGKILL", verdict["what"])
            with self.assertRaises(varlink.VarlinkError) as caught:
                probe(supervisor, held.operation)
            self.assertEqual(caught.exception.name, "NotHeld")

    @within(60)
    def test_a_supervisor_that_is_killed_during_a_hold_comes_back_with_the_current_release(self):
        with running(releases("r1", "r2")) as supervisor:
            held = Held(supervisor, "r2")
            held.wait()
            left = proc.descendants(supervisor.pid)
            supervisor.signal(signal.SIGKILL)
            supervisor.wait()
            for pid in left:  # as systemd does
                proc.kill(pid)
            with self.assertRaises((varlink.Closed, ConnectionResetError)):
                held.verdict()
            supervisor.start()
            supervisor.wait_serving()
            self.assertEqual({a.release for a in http.asks(supervisor.of.port, 20)}, {"r1"})

    def test_others_wait_their_turn(self):
        with running(releases("r1", "r2", "r3")) as supervisor:
            first, second = Held(supervisor, "r2"), Held(supervisor, "r3")
            first.wait()
            plain = threading.Thread(target=lambda: supervisor.call("Reload", 60))
            plain.start()
            let_pass(0.2)
            supervisor.call("Commit", operation=first.operation)
            self.assertEqual(first.verdict()["release"], "r2")
            self.assertEqual(second.wait()["release"], "r3")
            # One whose turn has not come is nobody's loss when its caller leaves.
            third = Held(supervisor, "r2")
            third.leave()
            supervisor.call("Abort", operation=second.operation)
            self.assertEqual(second.verdict()["outcome"], "failed")
            plain.join(30)
            supervisor.wait_status(lambda s: s["state"] == "serving" and s["release"] == "r1", what="the plain reload")

    def test_a_stop_during_a_hold_wins(self):
        with running(releases("r1", "r2")) as supervisor:
            held = Held(supervisor, "r2")
            held.wait()
            status, seconds = supervisor.stop()
            self.assertEqual(status, 0)
            self.assertLess(seconds, 10)
            self.assertIn("being stopped", held.verdict()["what"])

    def test_a_trial_comes_after_the_word(self):
        def change(made):
            releases("r1", "r2")(made)
            made.handover["trial"] = {"share": "50%", "for": "1s"}

        with running(change) as supervisor:
            held = Held(supervisor, "r2")
            held.wait()
            self.assertEqual({a.release for a in http.asks(supervisor.of.port, 100)}, {"r1"})
            supervisor.call("Commit", operation=held.operation)
            met = {a.release for a in http.asks(supervisor.of.port, 100)}
            self.assertEqual(met, {"r1", "r2"})
            self.assertEqual(held.verdict()["outcome"], "done")

    def test_a_unix_socket_has_its_own_path(self):
        def change(made):
            releases("r1", "r2")(made)
            made.sockets["http"]["listen"] = f"{made.folder}/web.sock"

        with running(change) as supervisor:
            public = pathlib.Path(supervisor.of.sockets["http"]["listen"])
            held = Held(supervisor, "r2")
            held.wait()
            self.assertEqual(probe(supervisor, held.operation).release, "r2")
            self.assertEqual(http.ask(public).release, "r1")
            supervisor.call("Commit", operation=held.operation)
            held.verdict()
            self.assertEqual(http.ask(public).release, "r2")

    def test_what_cannot_be_probed_is_said(self):
        def change(made):
            releases("r1", "r2")(made)
            made.handover["steering"] = "off"

        with running(change) as supervisor:
            held = Held(supervisor, "r2")
            held.wait()
            for name, error in (("http", "CannotProbe"), ("nothing", "UnknownSocket")):
                with self.assertRaises(varlink.VarlinkError) as caught:
                    probe(supervisor, held.operation, name)
                self.assertEqual(caught.exception.name, error)
            supervisor.call("Abort", operation=held.operation)
            held.verdict()
            with self.assertRaises(varlink.VarlinkError) as caught:
                supervisor.call("Reload", holdMs=1000)
            self.assertEqual(caught.exception.name, "ExpectedMore")
