import signal

from ..subject import Subject


class Runit(Subject):
    name = "runit"
    note = "one runsv a worker"
    program = "runsvdir"

    def prepare(self):
        self.make_service_directories()

    def command(self):
        return ["runsvdir", "-P", "services"]

    def ask_stop(self):
        self.process.send_signal(signal.SIGHUP)  # TERM would leave the workers running
