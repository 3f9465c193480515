"""batond comes back to two queues of an engine that never runs twice: both are served, one after the other."""

import socket
import unittest

from kit import fixtures
from kit.manager import check_served, fill, managed, with_sockets
from kit.runner import within
from kit.waiting import wait_until

# Fails at the start of the number in the file beside it.
FAILS_ONCE = """#!/bin/sh
echo start >>"$0.starts"
if [ "$(wc -l <"$0.starts")" = "$(cat "$0.fails")" ]; then exit 7; fi
exec "$@"
"""


def second_listener(it):
    """Another one at the address, kept by systemd, as a crash in the middle of a change leaves it."""
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    other.bind(("127.0.0.1", it.of.port))
    other.listen(64)
    other.setblocking(False)
    it.notify.stored.append(("http.99", other.detach()))


def exclusive(made):
    with_sockets("http")(made)
    made.engines["web"]["handover"] = "exclusive"


class TwoQueues(unittest.TestCase):
    @within(60)
    def test_both_are_served_and_two_never_run_at_once(self):
        with managed(exclusive) as it:
            it.crash()
            second_listener(it)
            clients = fill(it, "http", it.of.port)
            it.restart()
            check_served(self, it, clients)
            self.assertEqual(len(clients), 6)
            self.assertIn("2 listeners of 127.0.0.1", it.log())
            # The same once more, for the other queue, after the one before had ended.
            self.assertIn("generation 3 serves", it.log())
            runs = [stamp.event for stamp in fixtures.stamps(it.of.stamps) if stamp.event in ("exec", "exit")]
            self.assertEqual(runs, ["exec", "exec", "exit", "exec"], "the first life, and one for each queue")
            self.assertEqual(len(it.pids()), 1)
            self.assertNotIn("is given up", it.log())
            self.assertFalse(it.status().get("connectionsCut"))

    @within(60)
    def test_what_cannot_be_served_is_given_up_by_name_and_number(self):
        def fails(made):
            exclusive(made)
            program = made.folder / "fails-once"
            program.write_text(FAILS_ONCE)
            program.chmod(0o755)
            (made.folder / "fails-once.fails").write_text("3")
            made.engines["web"]["command"] = [str(program), *made.engines["web"]["command"]]

        with managed(fails) as it:
            it.crash()
            second_listener(it)
            clients = fill(it, "http", it.of.port)
            it.restart()
            wait_until(lambda: "is given up" in it.log(), 20, lambda: it.log()[-3000:])
            statuses = [client.status() for client in clients]
            self.assertEqual(sorted(map(str, statuses)).count("200"), 3, statuses)
            self.assertIn("is given up: nobody could be started for it (3 connections)", it.log())
            self.assertEqual(it.status()["connectionsCut"], 3)
            # What served before serves on.
            check_served(self, it, fill(it, "http", it.of.port))


if __name__ == "__main__":
    unittest.main()
