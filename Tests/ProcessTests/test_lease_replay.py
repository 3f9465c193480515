"""The checker of lease chaos finds each violation in a log that has it, and none in one that has not."""

import unittest

from kit.ownership import replay

TTL, SLACK = 6, 1.5


class Log:
    """A sink's log that is made up."""

    def __init__(self):
        self.at, self.message, self.entries = 100.0, 0, []
        self.note("begins")

    def note(self, what, **facts):
        self.entries.append({"at": self.at, "what": what, **facts})
        return self

    def effect(self, host, token, taken=True, expires=None, done=None, after=0.1):
        self.at += after
        self.note(
            "effect", host=host, token=token, message=self.message, taken=taken,
            expires=self.at + 4 if expires is None else expires)  # fmt: skip
        if taken if done is None else done:
            self.note("done", message=self.message)
            self.message += 1
        return self

    def work(self, host, token, count=20):
        for _ in range(count):
            self.effect(host, token)
        return self

    def pass_time(self, seconds):
        self.at += seconds
        return self

    def found(self):
        return replay.replay(self.note("ends").entries, TTL, SLACK)


class Replay(unittest.TestCase):
    def assertFinds(self, log, *words):
        found = log.found().complaints
        self.assertEqual(len(found), len(words), found)
        for complaint, word in zip(sorted(found), sorted(words)):
            self.assertIn(word, complaint)

    def test_a_log_in_order(self):
        log = Log().work("a", 1).pass_time(6.5).work("b", 2).work("b", 5)
        log.note("away").pass_time(100).note("back").pass_time(7).work("a", 9)
        found = log.found()
        self.assertEqual(found.complaints, [])
        self.assertEqual((found.messages, found.effects, found.refused, found.owners), (80, 80, 0, 4))
        self.assertAlmostEqual(found.longest, 7.1)

    def test_a_stale_token_that_is_taken(self):
        self.assertFinds(Log().work("a", 1).work("b", 2).effect("a", 1), "a stale token was taken")

    def test_a_valid_token_that_is_refused(self):
        log = Log().work("a", 1).note("forgets").effect("a", 1, taken=False).effect("a", 1)
        self.assertFinds(log, "a valid token was refused")

    def test_two_owners_of_one_token(self):
        self.assertFinds(Log().work("a", 1).effect("b", 1), "two owners")

    def test_work_past_the_deadline(self):
        self.assertFinds(Log().work("a", 1).effect("a", 1, expires=101.0), "past its deadline")
        log = Log().work("a", 1).note("helpless", host="a").effect("a", 1, expires=101.0).note("able", host="a")
        self.assertEqual(log.found().complaints, [])
        self.assertFinds(log.effect("a", 1, expires=101.0), "past its deadline")

    def test_work_beside_another(self):
        self.assertFinds(Log().work("a", 1).work("b", 2).effect("a", 1, taken=False), "beside another")
        # The store's fault, for as long as a lease lasts.
        log = Log().work("a", 1).note("forgets").work("b", 2).effect("a", 1, taken=False)
        self.assertEqual(log.found().complaints, [])
        log.work("b", 2, 50)
        self.assertFinds(log.effect("a", 1, taken=False), "beside another")

    def test_another_hosts_helplessness_is_no_excuse(self):
        log = Log().work("a", 1).note("helpless", host="b").work("b", 2).effect("a", 1, taken=False)
        self.assertFinds(log, "beside another")

    def test_nobody_works_for_too_long(self):
        self.assertFinds(Log().work("a", 1).pass_time(8).work("b", 2), "nobody worked for 8.1")
        self.assertFinds(Log().work("a", 1).pass_time(8), "nobody worked for 8.0")
        self.assertFinds(Log().pass_time(8).work("a", 1), "nobody worked for 8.1")
        log = Log().work("a", 1).note("away").pass_time(20).note("back").pass_time(8).work("b", 2)
        self.assertFinds(log, "nobody worked for 8.1")

    def test_a_refused_effect_is_no_work(self):
        log = Log().work("a", 1).work("b", 2).note("helpless", host="a")
        for _ in range(80):
            log.effect("a", 1, taken=False)
        self.assertFinds(log.work("b", 2), "nobody worked for 8.1")

    def test_a_message_without_an_effect(self):
        log = Log().work("a", 1).note("done", message=20)
        log.message = 21
        self.assertFinds(log.work("a", 1), "message 20 is done without an effect")
        log = Log().work("a", 1)
        log.message = 22
        self.assertFinds(log.work("a", 1), "message 20 was passed over", "message 21 was passed over")

    def test_how_long_work_took_to_pass(self):
        log = Log().work("a", 1).note("accident", name="host-dies").pass_time(3.9).work("b", 2)
        self.assertEqual([(round(seconds, 3), what) for seconds, what in replay.takeovers(log.entries)], [(4.0, "host-dies")])


if __name__ == "__main__":
    unittest.main()
