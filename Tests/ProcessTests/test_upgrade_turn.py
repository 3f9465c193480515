"""An upgrade and reloads that come at the same time: which goes first, and that none is lost."""

import contextlib
import os
import shutil
import signal
import threading
import unittest

from kit import http, programs, varlink
from kit.load import Load
from kit.runner import within
from kit.waiting import wait_until
from test_rolling import batches, generations, offer, rolling
from test_upgrade import upgradable, workers


def quick(made):
    made.engines["web"] = made.web("--start-delay", "300", workers=1)


class Turns(unittest.TestCase):
    """An upgrade waits for what is under way, and then goes before everything that has not begun."""

    @within(120)
    def test_reloads_without_end_do_not_keep_it_from_its_turn(self):
        with upgradable(quick) as supervisor:
            done, verdicts = threading.Event(), []

            def reload_again():
                while not done.is_set():
                    try:
                        verdicts.append(supervisor.call("Reload", 60, wait=True)["verdict"]["outcome"])
                    except varlink.VarlinkError as error:
                        verdicts.append(error.name)
                    except (EOFError, OSError) as error:
                        verdicts.append(f"lost: {error!r}")

            # One is always under way, and others wait.
            callers = [threading.Thread(target=reload_again) for _ in range(3)]
            for caller in callers:
                caller.start()
            try:
                wait_until(lambda: len(verdicts) > 3, 20, "reloads under way")
                for _ in range(3):
                    before = supervisor.status()["serving"]
                    self.assertEqual(supervisor.upgrade(60)["outcome"], "done")
                    # The one under way, one that began while the new program was asked, and what has begun since.
                    self.assertLessEqual(supervisor.status()["serving"] - before, 3)
            finally:
                done.set()
                for caller in callers:
                    caller.join(60)
            self.assertEqual(set(verdicts), {"done"})

    def test_a_reload_that_waited_is_done_by_the_new_image_and_its_caller_hears_it(self):
        with upgradable(quick) as supervisor:
            asked, go = supervisor.of.folder / "asked", supervisor.of.folder / "go"
            supervisor.put(
                f'#!/bin/sh\ncase "$*" in *--self-check*) touch {asked}; while [ ! -e {go} ]; do sleep 0.02; done;; esac\n'
                f'exec {programs.path("batond")} "$@"\n')
            with contextlib.ExitStack() as stack:
                upgrade, first, last = (
                    stack.enter_context(varlink.Connection(supervisor.control, 60)) for _ in range(3))
                upgrade.send("Upgrade", more=True, wait=True)
                wait_until(asked.exists, 5, "the check")
                first.send("Reload", wait=True)
                wait_until(lambda: supervisor.status()["state"] == "handover", 5, "the first reload")
                go.touch()
                while "waits" not in upgrade.answer()["progress"]["text"]:
                    pass
                last.send("Reload", wait=True)
                self.assertEqual(first.answer()["verdict"]["generation"], 2)
                while "verdict" not in (reply := upgrade.answer()):
                    pass
                self.assertEqual(reply["verdict"]["outcome"], "done")
                self.assertEqual(last.answer()["verdict"]["generation"], 3)
            kinds = [event["kind"] for event in supervisor.call("Events", limit=100)["events"]]
            self.assertLess(kinds.index("upgraded"), len(kinds) - kinds[::-1].index("generation-serving") - 1)

    def test_one_that_is_asked_for_between_two_batches_comes_after_the_last(self):
        with upgradable(rolling(**{"for": "300ms"})) as supervisor:
            offer(supervisor)
            supervisor.of.write()
            with Load(supervisor.of.port, 300, "--mode", "both") as load, contextlib.ExitStack() as stack:
                upgrade, reload = (stack.enter_context(varlink.Connection(supervisor.control, 60)) for _ in range(2))
                reload.send("Reload", wait=True)
                supervisor.wait_for_log("batch 1 of 3 of generation 2")
                upgrade.send("Upgrade", more=True, wait=True)
                while "waits" not in upgrade.answer()["progress"]["text"]:
                    pass
                self.assertEqual(batches(supervisor), ["1 of 3"])
                self.assertEqual(reload.answer()["verdict"]["outcome"], "done")
                while "verdict" not in (reply := upgrade.answer()):
                    pass
                self.assertEqual(reply["verdict"]["outcome"], "done")
            self.assertEqual(load.report.failed, 0, load.report)
            log = supervisor.log()
            self.assertLess(log.index("batch 2 of 3 of generation 2"), log.index("without supervision"))
            self.assertEqual(generations(supervisor), [2, 2, 2])

    def test_a_refused_one_lets_those_that_wait_begin(self):
        with upgradable(quick) as supervisor:
            supervisor.put("#!/bin/sh\necho no >&2\nexit 78\n")
            supervisor.refused_upgrade()
            self.assertEqual(supervisor.reload()["generation"], 2)


class OnReload(unittest.TestCase):
    @staticmethod
    def asks(made):
        quick(made)
        made.handover = {"upgrade-on-reload": True}

    def other(self, supervisor):
        """Another file than the one that runs, with the same in it."""
        target = supervisor.file.with_name("other")
        shutil.copyfile(programs.path("batond"), target)
        target.chmod(0o755)
        supervisor.put(target)

    def test_a_reload_upgrades_first_where_another_program_lies_there(self):
        with upgradable(self.asks) as supervisor:
            supervisor.reload()
            self.assertNotIn("without supervision", supervisor.log())
            self.other(supervisor)
            self.assertEqual(supervisor.reload()["generation"], 3)
            self.assertIn("without supervision", supervisor.log())
            supervisor.reload()
            self.assertEqual(supervisor.log().count("without supervision"), 1)

    def test_so_does_a_signal(self):
        with upgradable(self.asks) as supervisor:
            self.other(supervisor)
            os.kill(supervisor.pid, signal.SIGHUP)
            supervisor.wait_status(lambda seen: seen["serving"] == 2, 20, "the reload")
            self.assertIn("without supervision", supervisor.log())

    def test_a_bad_one_is_told_and_the_reload_is_done(self):
        with upgradable(self.asks) as supervisor:
            supervisor.put("#!/bin/sh\necho not today >&2\nexit 78\n")
            with varlink.Connection(supervisor.control, 60) as reload:
                reload.send("Reload", more=True, wait=True)
                said = []
                while "verdict" not in (reply := reload.answer()):
                    said.append(reply["progress"]["text"])
            self.assertEqual(reply["verdict"]["outcome"], "done")
            self.assertTrue(any("not today" in line for line in said), said)
            self.assertEqual(http.ask(supervisor.of.port).status, 200)


class Counted(unittest.TestCase):
    def test_without_the_setting_a_reload_is_only_a_reload(self):
        with upgradable(workers(1)) as supervisor:
            OnReload.other(self, supervisor)
            supervisor.reload()
            self.assertNotIn("without supervision", supervisor.log())
