"""How far a replay is, on a real terminal (tmux) and on a pipe."""

import re
import subprocess

from winnow_test import pool
from winnow_test.terminal import Terminal


def replay(client):
    return [pool.BINARY, "dlq", "replay", "--yes", "--rate", "3", "--client", client]


def test_on_a_terminal(bench, client):
    bench.fail(client, 12, valid_later=True)
    with Terminal(replay(client), bench.environment()) as terminal:
        shown = terminal.wait_for(" left").splitlines()[-1]
        assert re.fullmatch(r"winnow dlq replay: \d+ dead letters, \d+ %, [\d.]+/s, \d+ s left", shown), shown
        assert terminal.wait_until_ended() == 0
        assert terminal.screen() == "sent 12 of 12: 12 stored"


def test_on_a_pipe(bench, client):
    bench.fail(client, 9, valid_later=True)
    done = subprocess.run(replay(client), capture_output=True, text=True, timeout=60, env=bench.environment(), check=True)
    assert (done.stdout, done.stderr) == ("sent 9 of 9: 9 stored\n", "")
