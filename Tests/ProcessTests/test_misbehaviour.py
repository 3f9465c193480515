"""Programs that do what programs should not: none of them stalls the supervisor or stays behind."""

import ctypes
import os
import pathlib
import re
import signal
import socket
import unittest

from kit import fixtures, http, notify, proc
from kit.load import Load
from kit.supervisor import Supervisor, running, service
from kit.waiting import holds_for, wait_until

SYS_PIDFD_GETFD = 438
libc = ctypes.CDLL(None, use_errno=True).syscall


def misbehaving(name, *options, **keys):
    return lambda made: made.engines.update(
        odd=made.idle("--misbehave", name, *options, **{"stop-timeout": "1s", **keys}))


class GoneAtTheEnd(unittest.TestCase):
    """Whatever a program does, at the end of the stop nothing of it is left (the runner looks for what is), the status
    is 0, and what had to be cut is named."""

    def stop(self, name, *options, cut=True):
        with running(misbehaving(name, *options)) as supervisor:
            wait_until(lambda: fixtures.stamps(supervisor.of.stamps, "ready"), 5)
            before = proc.descendants(supervisor.pid)
            status, seconds = supervisor.stop()
            self.assertEqual(status, 0, supervisor.log())
            self.assertLess(seconds, 15)
            self.assertEqual([pid for pid in before if proc.alive(pid)], [])
            if cut:
                self.assertIn("odd.1", supervisor.log().split("ready")[-1])

    def test_ignores_term(self):
        self.stop("ignores-term")

    def test_blocks_term_in_its_mask(self):
        self.stop("blocks-term-in-mask")

    def test_stops_itself(self):
        self.stop("stops-itself", cut=False)

    def test_leaves_a_child_in_its_group(self):
        self.stop("forks-child-same-group", cut=False)

    def test_forks_away_into_a_session_of_its_own(self):
        self.stop("forks-away", cut=False)

    def test_spins(self):
        self.stop("spins")


class NotStalled(unittest.TestCase):
    def test_a_flood_of_log_lines(self):
        with running(misbehaving("floods-log")) as supervisor:
            self.assertQuick(supervisor)
            rss = proc.rss_bytes(supervisor.pid)
            self.assertLess(rss, 24 << 20)

    def test_a_flood_of_notifications(self):
        with running(misbehaving("floods-notify")) as supervisor:
            self.assertQuick(supervisor)

    def assertQuick(self, supervisor):
        """Clients, control and a reload are served meanwhile."""
        with Load(supervisor.of.port, 200) as load:
            holds_for(lambda: supervisor.status()["service"] == "t", 1.0)
            self.assertEqual(supervisor.reload(within=20)["outcome"], "done")
        self.assertEqual(load.report.failed, 0, load.report)

    def test_a_log_line_without_end(self):
        def endless(made):
            script = "yes | tr -d '\\n' | head -c 50000000; exec sleep 1000"
            made.engines["odd"] = made.idle(ready={"after": "10ms"})
            made.engines["odd"]["command"] = ["/bin/sh", "-c", script]

        with running(endless) as supervisor:
            self.assertQuick(supervisor)
            self.assertLess(proc.rss_bytes(supervisor.pid), 24 << 20)


class Impostors(unittest.TestCase):
    def test_a_claim_to_be_another_process_is_not_believed(self):
        with running(misbehaving("claims-other-pid=mainpid")) as supervisor:
            pids = {each["label"]: each["pid"] for each in supervisor.workers("odd")}
            self.assertNotIn(1, pids.values())
            self.assertEqual(set(pids), {"odd.1"})

    def test_ready_said_to_the_socket_of_another_worker_is_not_believed(self):
        with service() as made, notify.NotifySocket(made.folder / "notify") as heard:
            made.engines["late"] = made.idle("--start-delay", 1500)
            # Learned from its own report; it tries every socket it can find.
            script = (
                "import glob, os, socket, sys\n"
                "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                f"for path in glob.glob({str(made.folder / 'run')!r} + '/worker/*'):\n"
                "  if path != os.environ['NOTIFY_SOCKET']: s.sendto(b'READY=1', path)\n"
                "s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n"
                "import signal; signal.pause()\n"
            )
            (made.folder / "impostor.py").write_text(script)
            made.engines["odd"] = made.idle()
            made.engines["odd"]["command"] = ["/usr/bin/python3", str(made.folder / "impostor.py")]
            with Supervisor(made, environment={"NOTIFY_SOCKET": heard.path}):
                heard.wait_for("READY", "1")
                self.assertTrue([s for s in fixtures.stamps(made.stamps, "ready") if s.worker == "late.1"])


def _with_unix_socket(made):
    made.sockets["side"] = {"listen": str(made.folder / "side.sock")}
    made.engines["web"]["sockets"] = ["http", "side"]


def _socket_of(pid, number):
    """A copy of a descriptor that another process holds."""
    held = os.pidfd_open(pid)
    try:
        return socket.socket(fileno=libc(SYS_PIDFD_GETFD, held, number, 0))
    finally:
        os.close(held)


def _shut_down(pid):
    """What the worker could do: shutdown(2) on its Unix listener. Its inode."""
    with _socket_of(pid, 4) as listener:
        assert listener.family == socket.AF_UNIX, listener
        listener.shutdown(socket.SHUT_RDWR)
        return os.fstat(listener.fileno()).st_ino


def _watched(pid):
    """The inodes that the process hears of by epoll."""
    texts = [file.read_text() for file in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir()]
    return {int(found, 16) for text in texts for found in re.findall(r"^tfd:.* ino:([0-9a-f]+)", text, re.M)}


class Listener(unittest.TestCase):
    def test_a_worker_that_shuts_the_listener_down_is_survived(self):
        """shutdown(2) on a shared listener takes it out of its group for all; the supervisor makes a new one."""
        with running(lambda made: made.engines["web"].update(workers=2)) as supervisor:
            supervisor.of.engines["odd"] = supervisor.of.web(
                "--misbehave", "closes-listener=300", workers=1, prove=None, after=["web"], restart={"give-up-after": 1})
            supervisor.of.write()
            supervisor.call("Reload", wait=True)
            wait_until(lambda: fixtures.stamps(supervisor.of.stamps, "ready"), 5)
            wait_until(lambda: _answers(supervisor.of.port), 15, "the port to answer again")

    def test_a_unix_socket_that_was_shut_down_is_said_to_be_and_comes_back_by_a_reload(self):
        with running(_with_unix_socket) as supervisor:
            path = supervisor.of.sockets["side"]["listen"]
            self.assertEqual(http.ask(path, "/").status, 200)
            old = _shut_down(supervisor.pids()[0])
            supervisor.wait_for_log(f"{path} refuses clients")
            self.assertIn("baton reload", supervisor.log())
            # The kernel would tell of it for ever: nobody listens to that any more.
            self.assertNotIn(old, _watched(supervisor.pid))
            self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(http.ask(path, "/").status, 200)

    def test_a_generation_that_shuts_its_unix_socket_down_is_refused(self):
        with running(_with_unix_socket) as supervisor:
            path = supervisor.of.sockets["side"]["listen"]
            supervisor.of.bad("closes-listener", sockets=["http", "side"], prove=None)
            self.assertIn("shut down by one of its workers", supervisor.refused()["what"])
            self.assertEqual(http.ask(path, "/").status, 200)

    def test_the_blocking_mode_a_worker_flips_does_not_hang_the_service(self):
        with running(
            lambda made: made.engines.update(odd=made.web("--misbehave", "toggles-nonblock", workers=1, prove=None))
        ) as supervisor:
            with Load(supervisor.of.port, 100, "--timeout", "5") as load:
                self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(load.report.json["failures"].get("refused", 0), 0, load.report)


class Orphans(unittest.TestCase):
    def test_the_child_of_a_worker_that_died_is_gone_before_it_is_replaced(self):
        with running(misbehaving("forks-child-same-group")) as supervisor:
            worker = supervisor.pids("odd")[0]
            child = wait_until(lambda: proc.children(worker), 5, "the child")[0]
            proc.kill(worker, signal.SIGKILL)
            wait_until(lambda: supervisor.pids("odd") not in ([], [worker]), 10, "the replacement")
            self.assertFalse(proc.alive(child))


def _answers(port):
    try:
        return http.ask(port, within=1).status == 200
    except OSError:
        return False
