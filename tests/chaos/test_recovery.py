"""The short mode of make recovery, with room for a machine that does other things as well."""

import os
import time

import recovery

SLACK_S = 2


def test_it_is_back_in_time():
    seed = int(os.environ.get("SEED") or time.time())
    account = recovery.measure(recovery.Options(seed, slack_s=SLACK_S))
    print(account.text())
    assert account.is_good, account.text()
    assert all(account.figures.values()), account.text()
