"""Waiting for a condition, with a deadline."""

import time

INTERVAL_S = 0.03
# Where all works no deadline is met, and a machine may be slow, or have other things to do, for a long while.
LEAST_S = 90


class DeadlinePassed(AssertionError):
    """What was waited for did not come about in time."""


def wait_until(condition, timeout_s=30, what="the condition", interval_s=INTERVAL_S, on_timeout=None):
    """Calls condition() every interval_s until it returns something true, and returns that.

    After timeout_s, or LEAST_S when that is longer, raises DeadlinePassed, naming `what`, the last value and what
    on_timeout() tells. So a short timeout_s proves nothing: measure what must be soon. What may as well not come about
    is for comes_about()."""
    patience_s = max(timeout_s, LEAST_S)
    value = comes_about(condition, patience_s, interval_s)
    if not value:
        told = f"\n{on_timeout()}" if on_timeout is not None else ""
        raise DeadlinePassed(f"{what}: not within {patience_s} s; last seen: {value!r}{told}")
    return value


def comes_about(condition, timeout_s, interval_s=INTERVAL_S):
    """The same for exactly so long, and without a failure: what condition() returned last."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        time.sleep(interval_s)
