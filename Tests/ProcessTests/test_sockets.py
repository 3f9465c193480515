"""Sockets of every kind: bound once, handed over, never taken from somebody else."""

import os
import socket
import stat
import unittest

from kit import http
from kit.load import Load
from kit.supervisor import Supervisor, running, service
from kit.waiting import wait_until


class Kinds(unittest.TestCase):
    def reload_under_load(self, listen, target, **keys):
        def changed(made):
            made.sockets["http"] = {"listen": listen(made), **keys}

        with running(changed) as supervisor:
            with Load(target(supervisor.of), 300) as load:
                for _ in range(3):
                    self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(load.report.failed, 0, load.report)
            return supervisor.status()

    def test_version_4(self):
        self.reload_under_load(lambda made: f"0.0.0.0:{made.port}", lambda made: made.port)

    def test_version_6(self):
        self.reload_under_load(lambda made: f"[::1]:{made.port}", lambda made: f"http://[::1]:{made.port}/")

    def test_both_at_once(self):
        def both(made):
            made.sockets["http"] = {"listen": f"*:{made.port}"}

        with running(both) as supervisor:
            port = supervisor.of.port
            with Load(port, 200) as four, Load(f"http://[::1]:{port}/", 200) as six:
                self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual((four.report.failed, six.report.failed), (0, 0), f"{four.report}; {six.report}")

    def test_a_path(self):
        self.reload_under_load(lambda made: str(made.folder / "web.sock"), lambda made: f"unix:{made.folder}/web.sock:/")

    def test_a_path_has_its_mode_and_owner_and_is_removed_at_the_stop(self):
        def unix(made):
            made.sockets["http"] = {"listen": str(made.folder / "web.sock"), "mode": "0620", "owner": made.user}

        with running(unix) as supervisor:
            path = supervisor.of.folder / "web.sock"
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o620)
            supervisor.reload()
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o620)
            self.assertEqual([each.name for each in path.parent.glob("web.sock*")], ["web.sock"])
            supervisor.stop()
            self.assertFalse(path.exists())

    def test_datagrams(self):
        def udp(made):
            made.sockets["http"] = {"listen": f"udp:127.0.0.1:{made.port}"}
            made.engines["web"] = made.web(prove=None)

        with running(udp) as supervisor, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect(("127.0.0.1", supervisor.of.port))

            def generation():
                client.send(b"hello")
                return int(client.recv(1000).decode().split("gen=")[1].split()[0])

            self.assertEqual(generation(), 1)
            supervisor.reload()
            self.assertEqual([generation() for _ in range(20)], [2] * 20)


class Taken(unittest.TestCase):
    def test_a_taken_port_is_an_error_that_names_it(self):
        with service() as made, socket.create_server(("127.0.0.1", made.port)):
            self.assertNotStarted(made, str(made.port))

    def test_a_port_taken_with_reuseport_by_a_stranger_is_an_error_as_well(self):
        with service() as made, socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            stranger.bind(("127.0.0.1", made.port))
            stranger.listen()
            self.assertNotStarted(made, str(made.port))

    def test_a_path_somebody_listens_on_is_not_taken_away(self):
        with service() as made, socket.socket(socket.AF_UNIX) as other:
            other.bind(str(made.folder / "web.sock"))
            other.listen()
            made.sockets["http"] = {"listen": str(made.folder / "web.sock")}
            self.assertNotStarted(made, "web.sock")
            self.assertTrue((made.folder / "web.sock").exists())

    def test_a_path_left_by_a_dead_program_is_taken(self):
        with service() as made:
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(made.folder / "web.sock"))
            made.sockets["http"] = {"listen": str(made.folder / "web.sock")}
            with Supervisor(made):
                self.assertEqual(http.ask(made.folder / "web.sock").status, 200)

    def test_a_file_that_is_no_socket_is_not_touched(self):
        with service() as made:
            (made.folder / "web.sock").write_text("precious")
            made.sockets["http"] = {"listen": str(made.folder / "web.sock")}
            self.assertNotStarted(made, "web.sock")
            self.assertEqual((made.folder / "web.sock").read_text(), "precious")

    def assertNotStarted(self, made, says):
        supervisor = Supervisor(made).start()
        try:
            self.assertIn(supervisor.wait(20), (1, 78))
            self.assertIn(says, supervisor.log())
        finally:
            supervisor.process.kill()
            supervisor.process.wait()


class Handed(unittest.TestCase):
    """Sockets that come from systemd (LISTEN_FDS) are taken by name, and others are bound."""

    def activated(self, made, names, sockets):
        """A Supervisor that gets these sockets as systemd would give them."""
        launcher = (
            "import os, sys\n"
            "for target, source in enumerate(map(int, sys.argv[1].split(',')), 3):\n"
            "  os.dup2(source, target, True)\n"
            "  os.close(source)\n"
            "os.environ.update(LISTEN_FDS=str(len(sys.argv[1].split(','))), LISTEN_PID=str(os.getpid()),"
            " LISTEN_FDNAMES=sys.argv[2])\n"
            "os.execvp(sys.argv[3], sys.argv[3:])\n"
        )
        high = [_high(each.fileno()) for each in sockets]
        try:
            prefix = ["/usr/bin/python3", "-c", launcher, ",".join(map(str, high)), ":".join(names)]
            return Supervisor(made, prefix=prefix, inherit=high).start()
        finally:
            for each in high:
                os.close(each)

    def test_a_socket_of_that_name_is_used_and_steered(self):
        with service() as made:
            listener = socket.create_server(("127.0.0.1", made.port), backlog=100)
            supervisor = self.activated(made, ["http"], [listener])
            listener.close()
            try:
                supervisor.wait_serving()
                with Load(made.port, 300) as load:
                    supervisor.reload()
                    self.assertEqual({answer.generation for answer in http.asks(made.port, 20)}, {2})
                self.assertEqual(load.report.failed, 0, load.report)
            finally:
                supervisor.stop()

    def test_what_waited_in_its_queue_is_answered(self):
        with service() as made:
            listener = socket.create_server(("127.0.0.1", made.port), backlog=100)
            waiting = [http.Client(made.port) for _ in range(10)]
            for client in waiting:
                client.send()
            supervisor = self.activated(made, ["http"], [listener])
            listener.close()
            try:
                self.assertEqual([client.receive().status for client in waiting], [200] * 10)
            finally:
                for client in waiting:
                    client.socket.close()
                supervisor.stop()

    def test_one_nobody_asked_for_is_closed_and_told(self):
        with service() as made:
            stranger = socket.create_server(("127.0.0.1", 0))
            port = stranger.getsockname()[1]
            supervisor = self.activated(made, ["stranger"], [stranger])
            stranger.close()
            try:
                supervisor.wait_serving()
                wait_until(lambda: http.refuses(port), 5, "the stranger to be closed")
                self.assertIn("stranger", supervisor.log())
            finally:
                supervisor.stop()


def _high(descriptor):
    import fcntl

    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100)
    os.set_inheritable(copy, True)
    return copy
