"""A path that clients connect to belongs to whom the settings say, or is not there: a host that cannot say who that is just
now (no descriptors left to read /etc/passwd) is no reason for another owner."""

import os
import pathlib
import unittest

from kit.injection import Injection
from kit.manager import managed, with_sockets
from kit.runner import within
from kit.varlink import VarlinkError

LOOKUPS = 12
# One that nss-systemd does not make up where the file cannot be read.
DAEMON = 1


@unittest.skipIf(os.geteuid() != 0, "only root gives a path to another user")
class Owners(unittest.TestCase):
    @within(120)
    def test_a_path_never_comes_without_its_owner(self):
        refused = 0
        with managed(with_sockets("http")) as it:
            for place in range(1, LOOKUPS + 1):
                path = it.of.folder / f"{place}.sock"
                it.of.sockets["extra"] = {"listen": str(path), "owner": "daemon"}
                it.of.engines["web"]["sockets"] = ["http", "extra"]
                it.of.write()
                with Injection(it.pid, "openat", "EMFILE", str(place), ["/etc/passwd"]):
                    verdict = self.reload(it)
                if verdict["outcome"] == "done":
                    self.assertEqual(pathlib.Path(path).stat().st_uid, DAEMON, f"at look-up {place}")
                else:
                    self.assertIn("daemon", str(verdict), f"at look-up {place}")
                    refused += 1
        self.assertGreater(refused, 0)

    def reload(self, it):
        try:
            return it.call("Reload", 20, wait=True)["verdict"]
        except VarlinkError as error:
            return error.parameters
