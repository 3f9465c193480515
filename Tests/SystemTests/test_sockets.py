"""Socket activation by baton@.socket: the sockets are systemd's, taken by name and steered."""

import unittest

from kit.installed import PORT, installed
from kit.runner import within
from kit.waiting import wait_until


def socket_unit(it, extra=""):
    it.machine.write(
        "/etc/systemd/system/baton@demo.socket",
        "[Unit]\nDescription=sockets of demo\n[Socket]\n"
        f"ListenStream=127.0.0.1:{PORT}\nFileDescriptorName=http\nService={it.unit}\n{extra}",
    )
    it.machine.run("systemctl", "daemon-reload")
    it.write()


@within(120)
class Activation(unittest.TestCase):
    def under(self, extra):
        with installed() as it:
            socket_unit(it, extra)
            it.machine.run("systemctl", "start", "baton@demo.socket")
            self.assertEqual(it.property("ActiveState"), "inactive")
            self.assertEqual(wait_until(it.ask, 20, "the first answer").status, 200)
            it.wait_active()  # a reload asked for earlier would become part of the start
            with it.load() as load:
                for _ in range(3):
                    it.systemctl("reload")
            self.assertEqual(load.report.failed, 0, load.report)
            it.bad("answers-500")
            it.write()
            self.assertNotEqual(it.systemctl("reload", check=False).returncode, 0)
            self.assertEqual(it.counts("bad")["clients"], 0)
            return it.ask().generation

    def test_the_first_client_starts_it_and_reloads_are_steered(self):
        self.assertEqual(self.under(""), 4)

    def test_with_reuse_port(self):
        self.assertEqual(self.under("ReusePort=yes\n"), 4)

    def test_clients_wait_while_the_service_restarts(self):
        with installed() as it:
            socket_unit(it)
            it.machine.run("systemctl", "start", "baton@demo.socket")
            wait_until(it.ask, 20, "the first answer")
            it.wait_active()
            with it.load(200, "--mode", "new", "--timeout", "20") as load:
                it.systemctl("stop")
                wait_until(lambda: it.property("ActiveState") == "active", 30, "the next client to start it")
                it.systemctl("restart")
            self.assertEqual(load.report.json["failures"].get("refused", 0), 0, load.report)


@within(120)
class Kept(unittest.TestCase):
    """What systemd keeps over a restart is not what the settings say any more."""

    def test_a_restart_with_another_port(self):
        with installed() as it:
            it.start()
            for port in (PORT + 1, PORT + 2):
                it.sockets["http"]["listen"] = f"127.0.0.1:{port}"
                it.write()
                it.systemctl("restart")
                self.assertIsNone(it.ask(), "the old port")
                it.port = port
                self.assertEqual(it.ask().status, 200)
                self.assertEqual(it.property("NFileDescriptorStore"), "2")
                self.assertEqual(it.property("NRestarts"), "0")
