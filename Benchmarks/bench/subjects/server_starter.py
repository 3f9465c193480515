import os

from ..subject import Subject

# One program is what start_server supervises: this one is a handful of workers.
PREFORK = """#!/bin/sh
pids=
n=$1; shift
while [ "$n" -gt 0 ]; do "$@" & pids="$pids $!"; n=$((n - 1)); done
trap 'kill -TERM $pids' TERM
wait
wait
"""


class ServerStarter(Subject):
    name = "Server::Starter"
    note = "alive after 1 s counts as ready (--interval)"
    program = "start_server"

    def prepare(self):
        self.prefork = os.path.join(self.directory, "prefork")
        with open(self.prefork, "w") as file:
            file.write(PREFORK)
        os.chmod(self.prefork, 0o755)

    def command(self):
        program = [self.tools.service, "--listen-fd", "3", *self.arguments]
        if self.workers > 1:
            program = [self.prefork, str(self.workers), *program]
        return ["start_server", f"--port=127.0.0.1:{self.port}=3", "--backlog=4096", "--interval=1",
                "--signal-on-hup=TERM", "--", *program]
