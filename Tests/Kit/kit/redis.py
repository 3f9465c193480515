"""A Redis in a lab machine's network, from the host's programs."""

import subprocess

from kit import proc, programs
from kit.waiting import wait_until


class Redis:
    """Dies with us; the machine has none of its own."""

    port = 6379

    def __init__(self, box):
        self.box = box
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        """An empty one."""
        # Without --fork, nsenter becomes the program.
        self.process = subprocess.Popen(
            ["nsenter", "-t", str(self.box.leader), "-n", programs.tool("redis-server", "/usr/bin"), "--port", str(self.port),
             "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=proc.die_with_parent)  # fmt: skip
        wait_until(self.answers, 20, "redis-server")

    def answers(self):
        script = (
            f"exec 3<>/dev/tcp/127.0.0.1/{self.port} && printf 'PING\\r\\n' >&3 && read -r -t 5 said <&3 "
            "&& test \"${said:0:5}\" = +PONG"
        )
        return self.box.run("bash", "-c", script, check=False, within=10).returncode == 0

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        self.process.kill()
        self.process.wait()
