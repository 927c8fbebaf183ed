"""Colours: on a terminal, and nowhere else."""

import os
import subprocess
from pathlib import Path

import pytest

from winnow_test.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("WINNOW", str(ROOT / "build" / "winnow"))
DOCTOR = [PROGRAM, "doctor", "-b", "127.0.0.1:1", "-t", "t", "-d", "host=127.0.0.1 port=1", "--timeout", "1"]


def on_a_terminal(argv, **environment):
    with Terminal(argv, environment, columns=120, lines=80) as terminal:
        terminal.wait_until_ended()
        return terminal.wait_for("failed") and terminal.screen(colours=True)


def test_a_terminal_has_colours():
    assert "\x1b[31m" in on_a_terminal(DOCTOR)


@pytest.mark.parametrize("how", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_not_where_they_are_not_wanted(how):
    argv = ["env", *(f"{name}={value}" for name, value in how.items()), *DOCTOR]
    assert "\x1b[3" not in on_a_terminal(argv)


def test_not_on_a_pipe():
    done = subprocess.run(DOCTOR, capture_output=True, timeout=60, check=False,
                          env={**os.environ, "TERM": "xterm-256color"})
    assert done.stdout and b"\x1b" not in done.stdout + done.stderr
