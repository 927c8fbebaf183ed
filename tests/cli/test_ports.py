"""The ports of servers: one that was given away is nobody else's, though its server is down for a restart just now."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from winnow_test import process

LIBRARY = Path(process.__file__).parents[1]
ASK_FOR = "from winnow_test import process; process.PORTS = range({0}, {0} + 1); print(process.free_port())"


def test_no_port_is_given_twice(monkeypatch):
    port = process.free_port()
    elsewhere = subprocess.run([sys.executable, "-c", ASK_FOR.format(port)], env={**os.environ, "PYTHONPATH": str(LIBRARY)},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert "no free port" in elsewhere.stdout
    monkeypatch.setattr(process, "PORTS", range(port, port + 1))
    with pytest.raises(RuntimeError):
        process.free_port()
