"""The README's own example, as it stands there."""

import pathlib
import re
import tempfile
import unittest

from kit import http, programs
from kit.supervisor import Service, Supervisor


class Example(unittest.TestCase):
    def setUp(self):
        text = (programs.ROOT / "README.md").read_text()
        self.program = re.search(r"```python\n(.*?)```", text, re.S)[1]
        self.settings = re.search(r"```toml\n(.*?)```", text, re.S)[1]
        self.made = Service(self.enterContext(tempfile.TemporaryDirectory(prefix="baton-readme-")))
        self.settings = self.settings.replace("/srv/hello", str(self.made.folder)).replace("8080", str(self.made.port))
        self.settings = self.settings.replace('user = "root"', f'user = "{self.made.user}"')
        self.made.text = lambda: self.settings
        self.file = pathlib.Path(self.made.folder) / "hello.py"
        self.file.write_text(self.program)

    def test_it_serves_is_changed_and_refuses_what_is_broken(self):
        with Supervisor(self.made) as supervisor:
            self.assertEqual(_body(self.made.port), "hello")
            self.file.write_text(self.program.replace("hello\\n", "good day\\n"))
            self.assertEqual(supervisor.reload()["outcome"], "done")
            self.assertEqual(_body(self.made.port), "good day")
            self.file.write_text(self.program.replace("200", "500"))
            self.assertIn("500", supervisor.refused()["what"])
            self.file.write_text("not Python at all")
            self.assertIn("SyntaxError", "\n".join(supervisor.refused()["lastLines"]))
            self.assertEqual(_body(self.made.port), "good day")


def _body(port):
    """The answer of a server that ends it by closing."""
    with http.Client(port) as client:
        client.send(keep=False)
        text = b""
        while part := client.socket.recv(65536):
            text += part
    return text.decode().rpartition("\r\n\r\n")[2].strip()
