"""The demo's second part: releases from a real git repository, good and bad, while clients count."""

from kit import deploystage
from kit.waiting import wait_until

RATE = 800


class DeployDemo:
    def __init__(self, shown, page):
        self.shown, self.page, self.held = shown, page, True

    def expect(self, holds, text):
        self.held &= bool(holds)
        return self.page.good(text) if holds else self.page.bad(text)

    def why(self, act, begin="baton: "):
        if act.line(begin):
            self.page.line("", f"  {act.line(begin)}")

    def run(self):
        shown, page = self.shown, self.page
        page.title(f"deploys, {shown.where}")
        first = shown.first("v1")
        page.line("deploy", "v1, from a git repository, compiled: " + self.done(first, "v1"), first.seconds)
        with shown.load(RATE, "--timeout", 10) as load:
            for name, act in (
                ("deploy v2", self.good), ("broken build", self.broken), ("fails check", self.fails),
                ("killed", self.killed), ("rollback", self.rollback),
            ):  # fmt: skip
                load.mark(name)
                act()
            report = load.stop()
        page.load(report, self.expect(report.failed == 0, f"{report.failed:,} failed"))
        return self.held, report.sent

    def done(self, act, version):
        served = self.shown.served()
        holds = act.status == 0 and served == version
        return self.expect(holds, "serves" if holds else f"exit status {act.status}, {served} serves: {act.said[-500:]}")

    def refused(self, act, version):
        served = self.shown.served()
        holds = act.status == 1 and served == version
        return self.expect(holds, "refused" if holds else f"exit status {act.status}, {served} serves: {act.said[-500:]}")

    def good(self):
        self.shown.version("v2")
        act = self.shown.deploy()
        self.page.line("deploy", f"v1 → v2: {self.done(act, 'v2')}", act.seconds)

    def broken(self):
        self.shown.broken()
        act = self.shown.deploy()
        self.page.line("deploy", f"v2 → v3, which no compiler takes: {self.refused(act, 'v2')}", act.seconds)
        self.why(act)
        self.why(act, "holds: ")

    def fails(self):
        self.shown.bad("v4")
        act = self.shown.deploy()
        met = self.shown.met()
        self.page.line("deploy", f"v2 → v4, which starts and gives a wrong answer: {self.refused(act, 'v2')}", act.seconds)
        self.why(act)
        self.page.line("", "  " + self.expect(met == 0, f"clients that met it, as it counted itself: {met:,}"))

    def killed(self):
        self.shown.version("v5", start_delay=1000)
        act = self.shown.cut()
        self.page.line("deploy", "v2 → v5, and SIGKILL to the deploy in the middle of its activation", act.seconds)
        self.why(act)
        act = self.shown.recover()
        served = wait_until(self.shown.served, 10, "an answer")
        holds = act.status == 0 and served in ("v2", "v5")
        self.page.line("recover", self.expect(holds, f"{served} serves, nothing is left over" if holds else act.said), act.seconds)
        again = self.shown.deploy()
        self.page.line("deploy", f"v5 once more: {self.done(again, 'v5')}", again.seconds)

    def rollback(self):
        act = self.shown.rollback()
        self.page.line("rollback", f"v5 → v2, the last good one before it: {self.done(act, 'v2')}", act.seconds)


def run(page, without_systemd):
    """(what was promised held, requests counted)"""
    with deploystage.choose(without_systemd) as shown:
        return DeployDemo(shown, page).run()
