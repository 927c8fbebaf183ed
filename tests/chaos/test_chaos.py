"""The short mode: every kind of fault at least once in about a minute. For more: make chaos SEED=1 MINUTES=10"""

import os
import time

import chaos
from nemesis import Nemesis


def test_nothing_is_lost_or_double():
    """Every second seed goes without unique keys, so that the fence has to keep them single alone."""
    seed = int(os.environ.get("SEED") or time.time())
    print(f"seed {seed}")
    account = chaos.play(chaos.Options(seed, without_unique=seed % 2 == 0))
    print(account.text())
    assert account.is_good, account.text()
    assert account.message_count > 1000
    assert sum(account.faults.values()) >= len(Nemesis.INSTANT)
