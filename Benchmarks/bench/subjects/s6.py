import os

from ..subject import Subject


class S6(Subject):
    name = "s6"
    note = "one s6-supervise a worker"
    program = "s6-svscan"

    def prepare(self):
        for home in self.make_service_directories():
            # Only a service that said it was ready is started again at once.
            with open(os.path.join(home, "notification-fd"), "w") as file:
                file.write("3\n")

    def command(self):
        return ["s6-svscan", "-c", "1000", "services"]

    def environment(self):
        # It appends the name of the service to the command.
        return super().environment() | {"FIXTURE_IGNORE_ARGUMENTS": "1", "FIXTURE_READY_FD": "3"}
