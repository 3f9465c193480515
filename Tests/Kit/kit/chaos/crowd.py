"""Clients of every kind at once, for as long as the chaos lasts: each failure is counted, none is asked again."""

import contextlib

from kit.waiting import wait_until

# Seconds a client has patience. Longer than any accident lasts, so that what waits is served and not lost.
PATIENCE = 20
# What a client sees of a worker that was killed while it answered; never a refusal, never a hang, never a wrong answer.
CUT = frozenset({"reset", "closed-before-answer", "cut-in-answer"})


class Crowd:
    """New connections, kept ones, slow requests, and streams that last as a WebSocket does."""

    def __init__(self, load, rate):
        """`load(target, rate, *options)` makes a Load; `rate`: requests a second of all together, about."""

        def url(path):
            return f"http://127.0.0.1:8000{path}"

        self.loads = {
            "new": load(url("/"), rate * 0.5, "--mode", "new", "--timeout", PATIENCE),
            "kept": load(url("/"), rate * 0.4, "--mode", "keepalive", "--timeout", PATIENCE, "--connections", 8),
            "slow": load(url("/slow?ms=300"), rate * 0.07, "--mode", "new", "--timeout", PATIENCE),
            "streams": load(url("/stream?ms=2500"), rate * 0.03, "--mode", "new", "--timeout", PATIENCE),
        }
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for load in self.loads.values():
                stack.enter_context(load)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *raised):
        return self.stack.__exit__(*raised)

    def tally(self):
        """(sent, failures by kind, under way) of all together."""
        sent, failures, open_now = 0, {}, 0
        for load in self.loads.values():
            tally = load.tally()
            sent += tally["sent"]
            open_now += tally["failures"].pop("unanswered")
            for kind, count in tally["failures"].items():
                failures[kind] = failures.get(kind, 0) + count
        return sent, failures, open_now

    def queue_drops(self):
        """Connections the kernel threw away since the start, in the network of the clients."""
        kernel = self.loads["new"].tally()["kernel"]
        return kernel["ListenDrops"] + kernel["ListenOverflows"]

    def settle(self):
        """Until every short request that was due before this call has an end, good or bad, and 20 more were answered."""
        short = [self.loads[name] for name in ("new", "kept", "slow")]
        began = {load: load.tally()["sent"] for load in short}

        def settled(load):
            tally = load.tally()
            return tally["sent"] - tally["failures"]["unanswered"] >= began[load] + 2 and tally["oldest_ms"] < 400

        for load in short:
            wait_until(lambda load=load: settled(load), PATIENCE + 5, lambda load=load: f"answers: {load.tally()}")
