"""A listener is closed only when nothing can come into it any more: a connection that was being looked up in the kernel when
clients were steered away is in no list that could be asked, and closing would reset it."""

import signal
import subprocess
import unittest

from kit import programs
from kit.supervisor import running
from kit.waiting import wait_until


class Quiet(unittest.TestCase):
    def calls(self, supervisor, done):
        """What batond did with listeners until `done`, in its order."""
        file = supervisor.of.folder / "calls"
        command = [programs.tool("strace"), "-f", "-p", str(supervisor.process.pid), "-o", str(file),
                   "-e", "trace=membarrier,setsockopt,shutdown"]  # fmt: skip
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            self.assertIn("attached", tracer.stderr.readline())
            self.assertEqual(supervisor.reload()["outcome"], "done")
            wait_until(lambda: done(file.read_text()), 20, lambda: f"its end:\n{file.read_text()}")
            tracer.send_signal(signal.SIGTERM)
        return file.read_text().splitlines()

    def test_every_packet_has_arrived_before_a_listener_counts_as_quiet_and_again_before_it_is_closed(self):
        with running() as supervisor:
            calls = self.calls(supervisor, lambda text: "SHUT_RDWR" in text)
        closed = next(place for place, call in enumerate(calls) if "SHUT_RDWR" in call)
        steered = max(place for place, call in enumerate(calls[:closed]) if "SO_ATTACH_REUSEPORT_CBPF" in call)
        ended = [call for call in calls[steered:closed] if "membarrier" in call and call.endswith("= 0")]
        self.assertEqual(len(ended), 2, "\n".join(calls))
