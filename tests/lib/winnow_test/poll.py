"""Waiting for a condition, with a deadline."""

import time

INTERVAL_S = 0.03


class DeadlinePassed(AssertionError):
    """What was waited for did not come about in time."""


def wait_until(condition, timeout_s=30, what="the condition", interval_s=INTERVAL_S, on_timeout=None):
    """Calls condition() every interval_s until it returns something true, and returns that.

    After timeout_s raises DeadlinePassed, naming `what`, the last value and what on_timeout() tells."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            told = f"\n{on_timeout()}" if on_timeout is not None else ""
            raise DeadlinePassed(f"{what}: not within {timeout_s} s; last seen: {value!r}{told}")
        time.sleep(interval_s)
