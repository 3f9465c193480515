"""batond is killed, and started again by whoever keeps its sockets: what served serves again, and nobody is refused."""

import os
import signal
import socket
import unittest

from kit import fixtures, http
from kit.load import Load
from kit.manager import Client, Managed, Manager, check_served, fill, managed, ports, untaken, with_sockets
from kit.runner import within
from kit.supervisor import running, service
from kit.waiting import wait_until


def failures(load):
    return {name: count for name, count in load.report.json["failures"].items() if count}


class Pinned(unittest.TestCase):
    """What served is started again, whatever lies on disk now."""

    def test_settings_that_are_wrong_now_do_not_matter(self):
        with managed(lambda made: made.environment.update(COLOUR="blue")) as supervisor:
            supervisor.of.write("this is [no TOML")
            self.assertEqual(supervisor.crash(), -signal.SIGKILL)
            supervisor.restart()
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")
            supervisor.wait_for_log("came back after it ended without notice: generation 1 is started again")
            self.assertIn("what 2 workers were answering was cut: web.1 of generation 1, web.2 of", supervisor.log())
            # And again from what the second life left.
            supervisor.crash()
            supervisor.restart()
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")

    def test_settings_that_were_never_asked_for_do_not_matter(self):
        with managed(lambda made: made.environment.update(COLOUR="blue")) as supervisor:
            supervisor.of.environment = {"COLOUR": "red"}
            supervisor.of.write()
            supervisor.crash()
            supervisor.restart()
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")
            self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "red")
            supervisor.crash()
            supervisor.restart()
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "red")

    def test_a_candidate_that_was_not_committed_to_is_given_up(self):
        with managed(lambda made: made.environment.update(COLOUR="blue")) as supervisor:
            supervisor.of.environment = {"COLOUR": "red"}
            supervisor.of.bad("never-ready", start_timeout="60s")
            supervisor.of.write()
            supervisor.signal(signal.SIGHUP)
            wait_until(lambda: "starting workers" in supervisor.notify.all[-1].text, 10, "the candidate")
            supervisor.crash()
            supervisor.restart()
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")
            self.assertIn("to generation 2 (starting workers) is given up", supervisor.log())

    def test_a_crash_before_the_start_after_a_crash_is_done_changes_nothing(self):
        with managed(lambda made: made.environment.update(COLOUR="blue")) as supervisor:
            supervisor.of.write("this is [no TOML")
            supervisor.crash()
            for _ in range(5):
                supervisor.start()
                wait_until(lambda: "came back" in supervisor.log(), 10)
                supervisor.crash()
            supervisor.restart()
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")

    def test_after_an_orderly_end_the_settings_are_read(self):
        with managed(lambda made: made.environment.update(COLOUR="blue")) as supervisor:
            supervisor.of.environment = {"COLOUR": "red"}
            supervisor.of.write()
            supervisor.stop()
            supervisor.restart()
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "red")
            self.assertNotIn("came back", supervisor.log())

    def test_what_cannot_be_read_is_said_and_the_settings_are_read(self):
        with managed() as supervisor:
            supervisor.crash()
            state = next(number for name, number in supervisor.notify.stored if name == "baton-state")
            os.pwrite(state, b"garbage" * 1000, 0)
            os.pwrite(state, b"garbage" * 1000, 8 * 1024 * 1024 + 32)
            supervisor.restart()
            self.assertIn("what the last life of batond left cannot be used: nothing whole lies in it", supervisor.log())
            self.assertEqual(http.ask(supervisor.of.port).status, 200)

    def test_a_torn_write_leaves_the_one_before(self):
        with managed(lambda made: made.environment.update(COLOUR="blue")) as supervisor:
            # The last thing written is that the first generation is gone.
            supervisor.reload()
            wait_until(lambda: "generation 1 has ended" in supervisor.log(), 10)
            supervisor.crash()
            state = next(number for name, number in supervisor.notify.stored if name == "baton-state")
            starts = [0, 8 * 1024 * 1024 + 32]
            newest = max(starts, key=lambda start: os.pread(state, 8, start + 8)[::-1])
            os.pwrite(state, b"XXXX", newest + 100)
            supervisor.of.write("this is [no TOML")
            supervisor.restart()
            self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")


    def test_the_number_of_workers_somebody_asked_for(self):
        with managed(lambda made: made.engines["web"].update(workers=1)) as supervisor:
            for wanted in (3, 2):
                supervisor.call("Scale", engine="web", workers=wanted, wait=True)
                supervisor.crash()
                supervisor.restart()
                self.assertEqual(len(supervisor.pids()), wanted)
            # Until the settings are read again.
            supervisor.reload()
            self.assertEqual(len(supervisor.pids()), 1)
            supervisor.crash()
            supervisor.restart()
            self.assertEqual(len(supervisor.pids()), 1)

    def test_an_engine_that_was_scaled_to_nothing(self):
        def two_engines(made):
            made.engines["jobs"] = made.idle(workers=2)

        with managed(two_engines) as supervisor:
            supervisor.call("Scale", engine="jobs", workers=0, wait=True)
            supervisor.call("Scale", engine="web", workers=0, wait=True)
            for _ in range(2):
                supervisor.crash()
                supervisor.restart()
                self.assertEqual(supervisor.pids() + supervisor.pids("jobs"), [])
            # Whoever connects meanwhile waits, and is served by the first worker there is.
            client = Client(supervisor.of.port)
            supervisor.call("Scale", engine="web", workers=1, wait=True)
            self.assertEqual(client.status(), 200)
            supervisor.crash()
            supervisor.restart()
            self.assertEqual((len(supervisor.pids()), len(supervisor.pids("jobs"))), (1, 0))
            # Until the settings are read again.
            self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual((len(supervisor.pids()), len(supervisor.pids("jobs"))), (2, 2))

    def test_right_after_an_upgrade(self):
        with managed(lambda made: made.environment.update(COLOUR="blue")) as supervisor:
            for _ in range(3):
                supervisor.of.write("this is [no TOML")
                done = supervisor.baton("upgrade", "--json")
                supervisor.crash()
                self.assertEqual(done.returncode, 1, "these settings refuse an upgrade")
                supervisor.restart()
                supervisor.of.write()
                self.assertEqual(supervisor.baton("upgrade").returncode, 0)
                supervisor.of.write("this is [no TOML")
                supervisor.crash()
                supervisor.restart()
                self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")

    def test_without_a_store_it_is_said(self):
        with managed(keeps=False) as supervisor:
            supervisor.wait_for_log("systemd keeps no descriptors for this unit")
            self.assertIn("FileDescriptorStoreMax=", " ".join(supervisor.status()["warnings"]))
            self.assertEqual(supervisor.baton("upgrade").returncode, 0)
            self.assertIn("FileDescriptorStoreMax=", " ".join(supervisor.status()["warnings"]))
        with managed() as supervisor:
            wait_until(lambda: supervisor.stored() and not supervisor.stored("baton-question"), 10)
            self.assertEqual(supervisor.status()["warnings"], [])


class Queue(unittest.TestCase):
    """Connections that wait, and those made while nobody is there."""

    @within(120)
    def test_nobody_is_refused_over_crashes(self):
        with managed(with_sockets("http")) as supervisor:
            with Load(supervisor.of.port, 200, "--mode", "new", "--timeout", "20") as load:
                for _ in range(5):
                    seen = supervisor.of.counts()["clients"]
                    wait_until(lambda: supervisor.of.counts()["clients"] > seen + 20, 10)
                    supervisor.crash()
                    supervisor.restart()
            self.assertNotIn("refused", failures(load))
            # What was being answered is cut; each that failed had been taken by a worker, as they count it themselves.
            self.assertLessEqual(untaken(supervisor, load), 0, load.report)
            self.assertLessEqual(load.report.failed, 5, load.report)

    def test_without_a_manager_it_says_that_nobody_keeps_the_sockets(self):
        with running() as supervisor:
            supervisor.wait_for_log("no service manager keeps the sockets")


class Queues(unittest.TestCase):
    """Several listeners of an address come back: each queue gets a worker of the generation that served."""

    @within(120)
    def test_two_sockets_each_with_two_queues(self):
        with managed(with_sockets("http", "admin")) as supervisor:
            addresses = ports(supervisor)
            for _ in range(3):
                supervisor.of.bad("never-ready", sockets=["http", "admin"], workers=1, start_timeout="60s")
                supervisor.of.write()
                supervisor.signal(signal.SIGHUP)
                wait_until(lambda: len(supervisor.stored("http")) == len(supervisor.stored("admin")) == 2, 10)
                supervisor.crash()
                clients = [client for name, port in addresses.items() for client in fill(supervisor, name, port)]
                self.assertEqual(len(clients), 12)
                supervisor.restart()
                check_served(self, supervisor, clients)
                self.assertEqual(http.ask(supervisor.of.port, "/env?COLOUR").body, "blue")
            self.assertEqual(fixtures.counts(supervisor.of.bad_counts)["clients"], 0)

    @within(120)
    def test_a_unix_socket_with_two_queues(self):
        def unix(made):
            with_sockets("http")(made)
            made.sockets["http"]["listen"] = str(made.folder / "s.sock")

        with managed(unix) as supervisor:
            path = str(supervisor.of.folder / "s.sock")
            for _ in range(3):
                supervisor.of.bad("never-ready", workers=1, start_timeout="60s")
                supervisor.of.write()
                supervisor.signal(signal.SIGHUP)
                wait_until(lambda: len(supervisor.stored("http")) == 2, 10)
                supervisor.crash()
                beside = [str(each) for each in supervisor.of.folder.glob("s.sock.*")]
                self.assertEqual(len(beside), 1)
                clients = [Client(each) for each in (path, beside[0], path, beside[0])]
                supervisor.restart()
                check_served(self, supervisor, clients)
                self.assertEqual(http.ask(path, "/env?COLOUR").body, "blue")
                self.assertEqual(list(supervisor.of.folder.glob("s.sock.*")), [])

    @within(120)
    def test_a_socket_of_a_socket_unit_beside_one_of_our_own(self):
        with service() as made, Manager(made.folder / "notify") as manager, socket.socket() as units:
            with_sockets("http")(made)
            units.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            units.bind(("127.0.0.1", made.port))
            units.listen(128)
            units.setblocking(False)
            supervisor = Managed(made, manager)
            try:
                # The socket unit gives it to each start, whatever the service says of its own store.
                manager.stored.append(("http", os.dup(units.fileno())))
                supervisor.restart()
                for _ in range(3):
                    made.bad("never-ready", workers=1, start_timeout="60s")
                    made.write()
                    supervisor.signal(signal.SIGHUP)
                    wait_until(lambda: supervisor.stored("http."), 10, "the listener of a candidate")
                    supervisor.crash()
                    clients = [Client(made.port) for _ in range(8)]
                    manager.stored.append(("http", os.dup(units.fileno())))
                    supervisor.restart()
                    self.assertEqual({client.status() for client in clients}, {200})
                    # It is never closed, nor shut down: it starts the service again.
                    self.assertEqual(units.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 1)
                self.assertEqual(http.ask(made.port, "/env?COLOUR").body, "blue")
            finally:
                supervisor.end()
                supervisor.clear()

    @within(120)
    def test_several_unix_sockets_and_one_of_tcp(self):
        def several(made):
            with_sockets("http", "a", "b")(made)
            for name in ("a", "b"):
                made.sockets[name]["listen"] = str(made.folder / f"{name}.sock")

        with managed(several) as supervisor:
            targets = [supervisor.of.port, *[str(supervisor.of.folder / f"{name}.sock") for name in ("a", "b")]]
            for _ in range(3):
                supervisor.crash()
                clients = [Client(target) for target in targets for _ in range(3)]
                supervisor.restart()
                check_served(self, supervisor, clients)

    @within(120)
    def test_datagrams_and_what_waits_of_them(self):
        def datagrams(made):
            with_sockets("http")(made)
            made.sockets["echo"] = {"listen": f"udp:127.0.0.1:{http.free_port()}"}
            made.engines["web"]["sockets"] = ["http", "echo"]

        with managed(datagrams) as supervisor, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", int(supervisor.of.sockets["echo"]["listen"].rpartition(":")[2])))
            for _ in range(3):
                supervisor.crash()
                # Taken by the kernel: nobody says that the port is closed.
                sender.send(b"one")
                sender.send(b"two")
                supervisor.restart()
                check_served(self, supervisor, [Client(supervisor.of.port)])
            self.assertEqual(len(supervisor.stored("echo")), 1)

    @within(120)
    def test_datagrams_in_two_queues_are_all_served(self):
        def datagrams(made):
            with_sockets("http")(made)
            made.sockets["echo"] = {"listen": f"udp:127.0.0.1:{http.free_port()}"}
            made.engines["web"]["sockets"] = ["http", "echo"]

        def stop_workers(supervisor):
            for pid in supervisor.pids():
                os.kill(pid, signal.SIGSTOP)

        with managed(datagrams) as supervisor, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(10)
            sender.connect(("127.0.0.1", int(supervisor.of.sockets["echo"]["listen"].rpartition(":")[2])))
            sent = [b"old %d" % number for number in range(5)] + [b"new %d" % number for number in range(5)]
            # In the queue that clients met before the switch, and in the one they meet after it.
            stop_workers(supervisor)
            for each in sent[:5]:
                sender.send(each)
            supervisor.reload()
            stop_workers(supervisor)
            for each in sent[5:]:
                sender.send(each)
            self.assertEqual(len(supervisor.stored("echo")), 2)
            supervisor.crash()
            supervisor.restart()
            heard = [sender.recv(1000).split(maxsplit=4) for _ in sent]
            self.assertEqual(sorted(b" ".join(each[3:]).split(b" ", 1)[1] for each in heard), sorted(sent))
            check_served(self, supervisor, [Client(supervisor.of.port)])
            self.assertRegex(supervisor.log(), r"came back: echo\.2 with some waiting, echo\.4 with some waiting")
            # What asked for their order came into no queue.
            self.assertEqual(supervisor.of.counts()["datagrams"], len(sent))

    @within(120)
    def test_engines_that_never_run_twice_have_one_queue(self):
        def exclusive(made):
            with_sockets("http")(made)
            made.engines["web"]["handover"] = "exclusive"

        with managed(exclusive) as supervisor:
            for number in range(3):
                supervisor.crash()
                clients = [Client(supervisor.of.port) for _ in range(4)]
                supervisor.restart()
                check_served(self, supervisor, clients)
                supervisor.reload()
            self.assertNotIn("cannot be given", supervisor.log())

    @within(120)
    def test_listeners_that_hold_nothing_are_closed_and_nobody_is_started_for_them(self):
        with managed(with_sockets("http")) as supervisor:
            supervisor.of.bad("never-ready", start_timeout="60s")
            supervisor.of.write()
            supervisor.signal(signal.SIGHUP)
            wait_until(lambda: len(supervisor.stored("http")) == 2, 10)
            supervisor.crash()
            supervisor.restart()
            check_served(self, supervisor, [Client(supervisor.of.port)])
            self.assertNotIn("generation 4 starts", supervisor.log())
