"""scripts/demo: a service under batond is reloaded, offered bad versions, shut down and deployed, while clients count."""

import argparse
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import demo_deploy  # noqa: E402
from kit import machine, stage  # noqa: E402
from kit.waiting import wait_until  # noqa: E402

RATE = 1500
AT_LEAST = 10_000
STAGES = (("engines", "web"), ("database", "store"), ("redis", "cache"))

BAD = (
    ("v4", "answers-500", "which answers 500 to everything"),
    ("v5", "exits-at-start=3", "which ends before it is ready"),
)


class Page:
    """What a person sees; colours only on a terminal, and not with NO_COLOR."""

    def __init__(self):
        self.colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def paint(self, text, code):
        return f"\033[{code}m{text}\033[0m" if self.colours else text

    def good(self, text):
        return self.paint(text, "32")

    def bad(self, text):
        return self.paint(text, "31")

    def line(self, act="", text="", took=None):
        spent = f"  {took:.2f} s" if took is not None else ""
        print(f"  {self.paint(f'{act:<8}', '1')} {text}{spent}", flush=True)

    def title(self, text):
        print(f"\n{self.paint(text, '1')}\n", flush=True)

    def verdict(self, held, enough):
        """The last line, and the exit status."""
        self.title(
            self.good("What was promised held.") if held
            else self.bad("Not what baton promises." if enough else f"Fewer than {AT_LEAST:,} requests were counted."))  # fmt: skip
        return 0 if held else 1

    def load(self, report, failed):
        by = ", ".join(f"{name} {count:,}" for name, count in sorted(report.versions.items()))
        self.line("load", f"{report.sent:,} requests counted, {failed}; answered by {by}")
        if report.failed:
            kinds = ", ".join(f"{name} {count:,}" for name, count in report.json["failures"].items() if count)
            self.line("", f"  {kinds}")
        print(f"\n           {'':<16} {'requests':>9} {'failed':>7} {'p50 ms':>7} {'p99 ms':>7}")
        for phase in report.json["phases"]:
            figures = phase["latency_us"]["both"]
            print(
                f"           {phase['name']:<16} {phase['sent']:>9,} {phase['failed']:>7,}"
                f" {figures['p50'] / 1000:>7.1f} {figures['p99'] / 1000:>7.1f}"
            )
        print()


class Demo:
    def __init__(self, shown, broken):
        self.shown, self.broken, self.page = shown, broken, Page()
        self.held = True
        settings = shown.settings
        settings.engines["store"] = settings.idle(stage="database")
        settings.engines["cache"] = settings.idle(stage="redis")
        if broken:
            settings.handover["steering"] = "off"
        self.version("v1")

    def version(self, name, *options):
        """Makes this version the one the next start or reload reads."""
        keys = {"prove": None, "ready": {"after": "1ms"}} if self.broken else {}
        self.shown.settings.engines["web"] = self.shown.settings.web(
            "--version-text", name, "--start-delay", 300, *options, workers=4, after=["store", "cache"], **keys)

    def expect(self, holds, text):
        self.held &= bool(holds)
        return self.page.good(text) if holds else self.page.bad(text)

    def run(self):
        control = ": the control run, with steering and proof off" if self.broken else ""
        self.page.title(f"baton demo, {self.shown.where}{control}")
        self.shown.start()
        self.page.line("start", "v1 serves: 4 workers of a program that takes 0.3 s to start, a database and a cache behind it")
        with self.shown.load(RATE, "--timeout", 10) as load:
            self.page.line("load", f"{RATE:,} requests a second, half on new connections, half on kept ones")
            self.more(2000)
            for old, new in (("v1", "v2"), ("v2", "v3")):
                load.mark(f"reload to {new}")
                self.version(new)
                outcome = self.shown.reload()
                self.page.line("reload", f"{old} → {new}: {self.expect(outcome.done, self.done(outcome))}", outcome.seconds)
                load.mark("steady")
                self.more(1500)
            for new, misbehaviour, text in BAD[: 1 if self.broken else None]:
                load.mark(f"offer {new}")
                self.offer(new, misbehaviour, text)
                load.mark("steady")
            self.more(max(0, AT_LEAST - self.asked()))
            report = load.stop()
        self.tell(report)
        self.end()
        return self.verdict(report)

    def asked(self):
        return self.shown.counts("counts")["clients"] + self.shown.counts("bad")["clients"]

    def more(self, count):
        """Until so many more requests were answered."""
        until = self.asked() + count
        wait_until(lambda: self.asked() >= until, 60, "requests to be answered")

    def done(self, outcome):
        return "done" if outcome.done else f"failed: {outcome.reason}"

    def offer(self, new, misbehaviour, text):
        self.version(new, "--misbehave", misbehaviour, "--count-file", f"{self.shown.settings.home}/bad")
        outcome = self.shown.reload()
        self.more(300)
        met = self.shown.counts("bad")["clients"]
        word = self.expect(not outcome.done, "accepted" if outcome.done else "refused")
        self.page.line("reload", f"v3 → {new}, {text}: {word}", outcome.seconds)
        if outcome.reason and not outcome.done:
            self.page.line("", f"  why: {outcome.reason}")
        self.page.line("", "  " + self.expect(met == 0, f"clients that met a bad version, as it counted itself: {met:,}"))

    def tell(self, report):
        self.page.load(report, self.expect(report.failed == 0, f"{report.failed:,} failed"))

    def end(self):
        """A request that takes 0.7 s is under way when the stop comes."""
        statuses, asked = [], self.asked()
        client = threading.Thread(target=lambda: statuses.append(self.shown.once("/slow?ms=700")))
        client.start()
        wait_until(lambda: self.asked() > asked, 10, "the slow request to arrive")
        began = ended = time.monotonic()
        stopped = self.shown.stop()
        client.join()
        parts = []
        for name, engine in STAGES:
            found = [s for s in self.shown.stamps() if s.worker.startswith(engine + ".") and s.seconds >= began]
            told = min(s.seconds for s in found if s.event == "term")
            if not parts:
                parts.append(f"intake {told - began:.2f} s")
            in_order, ended = told >= ended, max(s.seconds for s in found if s.event == "exit")
            parts.append(self.expect(in_order, f"{name} {ended - told:.2f} s"))
        self.page.line("stop", " → ".join(parts) + "; in all", ended - began)
        slow = self.expect(statuses == [0], "was answered" if statuses == [0] else "was not answered")
        order = self.expect(stopped, "everything ended in order" if stopped else "it did not end well")
        self.page.line("", f"  the request that was under way {slow}; {order}")

    def verdict(self, report):
        self.enough = report.sent >= AT_LEAST
        return self.held and self.enough


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Shows a service that keeps answering.")
    parser.add_argument("--foreground", action="store_true", help="without systemd and without root")
    parser.add_argument("--broken", action="store_true", help="the control run: steering and proof off; failures are counted")
    choice = parser.parse_args()
    try:
        with stage.choose(choice.foreground) as shown:
            demo = Demo(shown, choice.broken)
            held = demo.run()
        if not choice.broken:
            held &= demo_deploy.run(demo.page, choice.foreground)[0]
        return demo.page.verdict(held, demo.enough)
    except machine.MachineError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
