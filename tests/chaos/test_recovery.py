"""The short mode of make recovery: that it is back at all, on a machine that does other things as well. How soon is for
make recovery to tell, on one that does not."""

import os
import time

import recovery

SLACK_S = 20  # less than the statements of a database that hangs are waited for


def test_it_is_back_in_time():
    seed = int(os.environ.get("SEED") or time.time())
    account = recovery.measure(recovery.Options(seed, slack_s=SLACK_S))
    print(account.text())
    assert account.is_good, account.text()
    assert all(account.figures.values()), account.text()
