"""Waiting for facts, each wait with a deadline. The only place of the tests that lets a moment pass."""

import time


class Late(AssertionError):
    """What was waited for did not come in time."""


def wait_until(condition, within=10.0, what=None, every=0.01):
    """Returns condition()'s first true value; raises Late after `within` seconds.

    For facts that send no event (a line in a file, a state in /proc). `what` finishes the sentence "waited for …"; it may
    be a function, called only when the wait failed, to say what was seen instead.
    """
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            seen = what() if callable(what) else what or getattr(condition, "__name__", "a condition")
            raise Late(f"waited {within:g} s for {seen}")
        time.sleep(every)
        every = min(every * 1.5, 0.1)


def holds_for(condition, seconds, what=None, every=0.02):
    """Asserts that condition() stays true for a while: for promises that something does not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            raise AssertionError(f"{what or getattr(condition, '__name__', 'a condition')} did not hold")
        time.sleep(every)


def let_pass(seconds):
    """Lets time pass where the passing of time itself is what a test measures. Never to wait for something."""
    time.sleep(seconds)
