"""Accidents while a new generation is on trial: batch by batch (rolling), or with a share of the clients (canary)."""

import contextlib
import signal

from kit.chaos.cards import ENDS, card
from kit.chaos.crowd import CUT
from kit.waiting import let_pass, wait_until

PAUSE = "600ms"
STRATEGIES = {
    "rolling": {"batch": 1, "for": PAUSE},
    "canary": {"steps": ["1%", "25%", "60%"], "for": PAUSE},
}


class OnTrial:
    """A reload whose new generation is on trial, unless something else came of it."""

    def __init__(self, stage):
        self.stage = stage
        self.first = stage.status()["serving"]
        self.reload = stage.start("systemctl", "reload", stage.it.unit)

    def wait_begun(self):
        """Until clients meet it."""
        wait_until(
            lambda: (self.stage.status().get("handover") or {}).get("phase") == "trial" or self.reload.poll() is not None,
            30, lambda: f"a trial: {self.stage.status()}")  # fmt: skip

    def pids(self):
        """Of every worker of web, of the old generation and of the new one."""
        web = next(each for each in self.stage.status()["engines"] if each["name"] == "web")
        return sorted(w["pid"] for w in web["workers"] if w["state"] == "ready" and w.get("pid"))

    def wait_end(self):
        """Until it has an end, and one generation alone serves, with all of its workers; whether it is the new one."""
        stage = self.stage
        done = self.reload.wait(120) == 0

        def whole():
            status = stage.status()
            web = next(each for each in status["engines"] if each["name"] == "web")
            serving = [w for w in web["workers"] if w["state"] == "ready" and w["generation"] == status.get("serving")]
            return status["state"] == "serving" and not status.get("handover") and len(serving) == stage.wanted

        wait_until(whole, 30, lambda: f"all workers of one generation: {stage.status()}")
        return done

    def expect(self, done):
        """It ends so, and the generation that serves is the one that then should."""
        was_done = self.wait_end()
        serving = self.stage.status()["serving"]
        if was_done != done or done != (serving != self.first):
            raise AssertionError(
                f"{'done' if was_done else 'refused'}, and {'done' if done else 'refused'} is expected; generation {serving} "
                f"serves, before it {self.first}:\n{self.stage.it.journal()[-4000:]}")  # fmt: skip


@contextlib.contextmanager
def on_trial(stage, *options, workers=3, strategy=None, **trial):
    """An OnTrial that has begun, of one strategy or the other; afterwards the settings are as before, and in force."""
    before = dict(stage.it.handover)
    strategy = strategy or stage.dice.choice(sorted(STRATEGIES))
    stage.wanted = workers
    stage.settings()
    stage.reload()
    stage.it.handover |= {"strategy": strategy, "trial": STRATEGIES[strategy] | trial}
    stage.settings(*options)
    try:
        yield OnTrial(stage)
    finally:
        stage.it.handover = before
        stage.wanted = 2
        stage.settings()
    stage.reload()


@card()
def rolling(stage):
    """a version comes batch by batch"""
    with on_trial(stage, workers=4, strategy="rolling") as trial:
        trial.expect(done=True)


@card(CUT)
def rolling_and_a_worker_killed(stage):
    """a worker is killed, an old one or a new one, while a version comes batch by batch"""
    with on_trial(stage, strategy="rolling") as trial:
        trial.wait_begun()
        let_pass(stage.dice.uniform(0, 1.5))
        kill_one(stage, trial)
        trial.wait_end()


@card(CUT)
def rolling_and_batond_killed(stage):
    """batond is killed while a version comes batch by batch: the old one comes back with all of its workers"""
    with on_trial(stage, strategy="rolling") as trial:
        trial.wait_begun()
        let_pass(stage.dice.uniform(0, 1.8))
        stage.kill_supervisor(stage.dice.choice(ENDS))
        trial.wait_end()


@card()
def rolling_and_an_upgrade(stage):
    """batond is upgraded while a version comes batch by batch: both are done"""
    upgraded_on_trial(stage, "rolling")


@card()
def rolling_and_others(stage):
    """a reload, another number of workers and a pause of batond while a version comes batch by batch"""
    with on_trial(stage, strategy="rolling") as trial:
        trial.wait_begun()
        others = [stage.start("baton", "reload", "demo"), stage.start("baton", "scale", "demo", "web=2")]
        pid = stage.supervisor()
        stage.send(pid, signal.SIGSTOP)
        let_pass(stage.dice.uniform(0.1, 1.5))
        stage.send(pid, signal.SIGCONT)
        for each in others:
            each.wait(90)
        # A scaling holds for as long as no reload came after it.
        stage.wanted = next(each for each in stage.status()["engines"] if each["name"] == "web")["wanted"]
        trial.wait_end()


@card(CUT)
def canary_and_a_worker_killed(stage):
    """a worker is killed, an old one or a new one, while a share of the clients meets a version"""
    with on_trial(stage, strategy="canary") as trial:
        trial.wait_begun()
        let_pass(stage.dice.uniform(0, 1.5))
        kill_one(stage, trial)
        trial.wait_end()


@card(CUT)
def canary_and_batond_killed(stage):
    """batond is killed while a share of the clients meets a version: the old one comes back"""
    with on_trial(stage, strategy="canary", **{"for": "20s"}) as trial:
        trial.wait_begun()
        let_pass(stage.dice.uniform(0, 1.0))
        stage.kill_supervisor(stage.dice.choice(ENDS))
        trial.wait_end()


@card()
def canary_and_an_upgrade(stage):
    """batond is upgraded while a share of the clients meets a version: both are done"""
    upgraded_on_trial(stage, "canary")


@card(CUT)
def canary_of_a_bad_version(stage):
    """a version dies of the share of clients that it meets: all go back to the old one"""
    with on_trial(stage, "--misbehave", f"dies-in-trial={stage.dice.randint(1, 3)}", strategy="canary", **{"for": "20s"}) as trial:
        trial.expect(done=False)


@card()
def trial_that_is_judged_bad(stage):
    """the check of a trial says no: all go back, and no request is lost"""
    verdict = stage.dice.choice(("exit 1", "kill -9 $$", "exec sleep 60"))
    check = ["/bin/sh", "-c", verdict]
    with on_trial(stage, check=check, **{"check-timeout": "300ms"}) as trial:
        trial.expect(done=False)


def kill_one(stage, trial):
    pids = trial.pids()
    outside = stage.numbered()
    there = [pid for pid in pids if pid in outside]
    stage.send(outside[stage.dice.choice(there)], signal.SIGKILL)


def upgraded_on_trial(stage, strategy):
    """The upgrade waits for the trial's end, and neither is lost."""
    with on_trial(stage, strategy=strategy) as trial:
        trial.wait_begun()
        let_pass(stage.dice.uniform(0, 0.5))
        upgrade = stage.start("baton", "upgrade", "demo")
        trial.expect(done=True)
        if upgrade.wait(60) != 0:
            raise AssertionError(f"the upgrade was not done:\n{stage.it.journal()[-4000:]}")
