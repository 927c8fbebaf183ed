"""The short form of `make soak`: half a minute at as full a load as the producer beside the pool gives, and longer where
fewer messages come through. For a slow leak it takes the long one."""

import sys
from pathlib import Path

from winnow_test import check

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "soak"))

from soak import Soak  # noqa: E402  pylint: disable=wrong-import-position


def test_memory_is_flat_at_full_load():
    """Over seconds a worker's memory goes up and down with what was fetched last, and beside other work it fills its queues
    late: only a steep rise shows."""
    soak = Soak(minutes=0.5, workers=2, growth_share=0.2, growth_mib=16, rests_share=1, messages=2_000_000).run()
    print(soak.text())
    check.assert_same(soak.inexact, [], "the account")
    assert not soak.wrong, soak.text()
