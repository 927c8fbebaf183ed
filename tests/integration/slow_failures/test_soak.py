"""The short form of `make soak`: half a minute at full load, or nearly: two pauses of the producer are half of it. For a
slow leak it takes the long one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "soak"))

from soak import Soak  # noqa: E402  pylint: disable=wrong-import-position


def test_memory_is_flat_at_full_load():
    """Over seconds a worker's memory goes up and down with what was fetched last, and beside other work it fills its queues
    late: only a steep rise shows."""
    soak = Soak(minutes=0.5, workers=2, growth_share=0.2, growth_mib=16, rests_share=0.9).run()
    print(soak.text())
    assert not soak.wrong, soak.text()
