"""A restart whose settings say something else of sockets than systemd keeps: what fits goes on, what does not is made anew."""

import os
import pathlib
import socket
import stat
import subprocess
import unittest

from kit import http
from kit.load import Load
from kit.manager import Client, managed, stored, with_sockets
from kit.waiting import wait_until


def ended(supervisor):
    """As systemctl restart does first: the store is kept."""
    supervisor.stop()
    supervisor.clear()


class Restarts(unittest.TestCase):
    def test_with_another_port(self):
        with managed(with_sockets("http")) as it:
            ended(it)
            old, new = it.of.port, http.free_port()
            it.of.sockets["http"]["listen"] = f"127.0.0.1:{new}"
            it.of.write()
            it.restart()
            self.assertEqual(http.ask(new).status, 200)
            wait_until(lambda: http.refuses(old), 5, "the old port to be given up")
            self.assertEqual(len(it.stored("http.")), 1)
            self.assertIn("which no socket of the settings wants: closed", it.log())

    def test_with_another_address_of_the_same_port(self):
        with managed(with_sockets("http")) as it:
            port = it.of.port
            for listen in (f"0.0.0.0:{port}", f"[::]:{port}", f"*:{port}", f"127.0.0.1:{port}"):
                ended(it)
                it.of.sockets["http"]["listen"] = listen
                it.of.write()
                it.restart()
                with Load(f"http://[::1]:{port}/" if listen[0] == "[" else port, 20) as load:
                    self.assertEqual(it.reload()["outcome"], "done")
                self.assertEqual(load.report.failed, 0, f"{listen}: {load.report}")
                wait_until(lambda: len(it.stored("http.")) == 1, 5, it.stored)

    def test_under_another_name_nobody_who_waits_is_lost(self):
        with managed(with_sockets("http", "admin")) as it:
            ended(it)
            sockets = it.of.sockets
            sockets["front"], sockets["back"] = sockets.pop("http"), sockets.pop("admin")
            it.of.engines["web"]["sockets"] = ["front", "back"]
            it.of.engines["web"]["prove"]["socket"] = "front"
            self.check_nobody_is_lost(it, ["front", "back"])

    def test_with_addresses_exchanged_nobody_who_waits_is_lost(self):
        with managed(with_sockets("http", "admin")) as it:
            ended(it)
            first, second = it.of.sockets["http"], it.of.sockets["admin"]
            first["listen"], second["listen"] = second["listen"], first["listen"]
            self.check_nobody_is_lost(it, ["http", "admin"])

    def check_nobody_is_lost(self, it, names):
        ports = [int(each["listen"].rpartition(":")[2]) for each in it.of.sockets.values()]
        waiting = [Client(port) for port in ports for _ in range(2)]
        it.of.write()
        it.restart()
        self.assertEqual([client.status() for client in waiting], [200] * 4)
        wait_until(lambda: sorted(each.partition(".")[0] for each in it.stored() if "." in each) == sorted(names), 5)
        # And so again from what is kept now.
        it.crash()
        waiting = [Client(port) for port in ports for _ in range(2)]
        it.restart()
        self.assertEqual([client.status() for client in waiting], [200] * 4)

    def test_with_another_backlog_and_blocking(self):
        with managed(with_sockets("http")) as it:
            self.assertEqual(self.kept(it, "http"), (False, True))
            ended(it)
            it.of.sockets["http"].update(nonblocking=False, backlog=3)
            it.of.engines["web"]["command"] = it.of.web()["command"]
            it.of.write()
            it.restart()
            self.assertEqual(self.kept(it, "http"), (True, True))
            self.assertEqual(self.backlog(it.of.port), 3)

    def kept(self, it, name):
        """Whether the one that is kept blocks, and listens."""
        (one,) = stored(it, name)
        with one:
            return os.get_blocking(one.fileno()), bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    def backlog(self, port):
        lines = subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
        return int(lines.split()[2])


class Paths(unittest.TestCase):
    def served(self, it, path):
        return Client(str(path)).status()

    def test_with_another_mode(self):
        with managed(self.at("http.sock", "0600")) as it:
            path = it.of.folder / "http.sock"
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
            ended(it)
            it.of.sockets["http"]["mode"] = "0666"
            it.of.write()
            it.restart()
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o666)
            self.assertEqual(self.served(it, path), 200)

    def test_at_another_path(self):
        with managed(self.at("http.sock", "0600")) as it:
            ended(it)
            old, new = it.of.folder / "http.sock", it.of.folder / "other.sock"
            it.of.sockets["http"]["listen"] = str(new)
            it.of.write()
            it.restart()
            self.assertEqual(self.served(it, new), 200)
            wait_until(lambda: not old.exists(), 5, "the old path to be gone")
            self.assertEqual(len(it.stored("http.")), 1)

    def test_whose_path_somebody_removed(self):
        with managed(self.at("http.sock", "0600")) as it:
            ended(it)
            path = it.of.folder / "http.sock"
            path.unlink()
            it.restart()
            self.assertEqual(self.served(it, path), 200)
            wait_until(lambda: len(it.stored("http.")) == 1, 5, it.stored)
            self.assertTrue(pathlib.Path(path).is_socket())

    def at(self, name, mode):
        def change(made):
            made.sockets["http"] = {"listen": str(made.folder / name), "mode": mode}
            made.engines["web"] = made.web(workers=1)
            made.engines["web"].pop("prove", None)

        return change
