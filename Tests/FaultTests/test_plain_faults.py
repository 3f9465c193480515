"""Accidents in deploys in a lab machine, to a unit of systemd's own and to one of batond's: around every effect from its
pointer's move to the proof, and with the power gone there. The short form takes a sample (BATON_SEED), BATON_FAULTS=all all of them.
"""

import os
import pathlib
import unittest

from kit import machine
from kit.faults import SIDES
from kit.forms import WHOLE, sample
from kit.plainfaults import DIRECTORY, UNIT, PlainGround, SteeredGround, plain_ground
from kit.runner import within
from kit.waiting import wait_until

UPDATE = os.environ.get("BATON_UPDATE_POINTS") == "1"
POINTS = pathlib.Path(__file__).with_name("points")


class Activations(unittest.TestCase):
    kind, name = None, None

    def listed(self, ground):
        """The points of the activation, which are known."""
        found = [point.words for point in ground.points()]
        path = POINTS / f"{self.name}.txt"
        if UPDATE:
            path.write_text("\n".join(found) + "\n")
        self.assertEqual(found, path.read_text().splitlines())
        first = next(number for number, words in enumerate(found, 1) if words.endswith("intends activate"))
        last = next(number for number, words in enumerate(found, 1) if words.endswith("did mark-good"))
        return [(number, side) for number in range(first, last + 1) for side in SIDES]

    def attempts(self, faults, count):
        with plain_ground(self.kind) as ground:
            ground.first()
            listed = self.listed(ground)
            tries = sample([(*point, fault) for fault in faults for point in listed], count, self.name)
            complaints = [text for each in tries for text in ground.attempt(*each)]
            print(f"{self.name}: {len(tries)} accidents")
            self.assertEqual(complaints, [])


@unittest.skipIf(machine.missing() is not None, machine.missing())
class SteeredUnit(Activations):
    kind, name = SteeredGround, "steered-unit"

    @within(3600 if WHOLE else 240)
    def test_power_that_goes_in_its_activation(self):
        self.attempts(("power",), 3)


@unittest.skipIf(machine.missing() is not None, machine.missing())
class PlainUnit(Activations):
    kind, name = PlainGround, "plain-unit"

    @within(3600 if WHOLE else 240)
    def test_accidents_around_its_activation(self):
        self.attempts(("kill", "EIO", "ENOSPC", "interrupt", "hangup"), 8)

    @within(3600 if WHOLE else 240)
    def test_power_that_goes_in_its_activation(self):
        self.attempts(("power",), 3)

    @within(240)
    def test_a_recovery_that_is_killed_once_its_pointer_is_back_is_gone_on_with(self):
        """`current` says no longer that the unit may run the new release: the link that lies beside it has to."""
        with plain_ground() as ground:
            ground.first()
            restart = next(point.number for point in ground.points() if point.words.startswith("bus restart"))
            for effect in range(1, 15):
                old, before, new = ground.it.current, set(ground.it.operations()), ground.next_version()
                ground.run(*ground.arguments(), fault=f"{restart}:after:kill")
                _, _, reached = ground.run("recover", "demo", fault=f"{effect}:after:kill", where="recover")
                status, said, _ = ground.run("recover", "demo", where="recover")
                self.assertEqual(status, 0, said)
                self.assertEqual(ground.complaints(old, new, before, 1, "kill"), [], f"after effect {effect}: {reached}")
                if any("restart" in words for _, words in reached):
                    return
            self.fail("recovery restarts nothing")

    @within(120)
    def test_a_first_release_that_fails_its_proof_leaves_no_unit_that_runs(self):
        with plain_ground() as ground:
            ground.it.health["check"][0]["status"] = [418]
            ground.it.health["deadline"] = "1s"
            ground.it.write()
            ground.next_version()
            status, said, _ = ground.run(*ground.arguments("--no-rollback"))
            self.assertEqual(status, 1, said)
            self.assertEqual((ground.it.current, ground.it.names("releases")), (None, []), said)
            self.assertNotIn(ground.it.machine.property(UNIT, "ActiveState"), ("active", "activating"))
            self.assertFalse(ground.it.machine.path(f"{DIRECTORY}/current").is_symlink())

    @within(120)
    def test_one_that_crashes_until_systemd_gives_up_leads_back(self):
        with plain_ground() as ground:
            ground.it.drop_in("[Unit]\nStartLimitIntervalSec=300\nStartLimitBurst=2\n[Service]\nRestartSec=10ms\n", unit=UNIT)
            ground.it.bake = {"for": "5s", "interval": "100ms"}
            ground.it.write()
            ground.first()
            old = ground.it.current
            ground.next_version()
            main = ground.place / "work/built/main"
            main.write_text("#!/bin/sh\nsleep 1\nexit 3\n")  # SLEEPS
            words = [word for word in ground.arguments() if word != "--quick"]
            status, said, _ = ground.run(*words)
            self.assertEqual((status, ground.it.current), (1, old), said)
            self.assertEqual(ground.it.property("ActiveState"), "active")
            wait_until(lambda: ground.it.answered_by() == "v1", 10, lambda: ground.it.journal())


if __name__ == "__main__":
    unittest.main()
