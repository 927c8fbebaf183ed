"""The README says what the program says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WINNOW = os.environ.get("WINNOW") or str(ROOT / "build" / "winnow")


def winnow(*arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")}
    done = subprocess.run([WINNOW, *arguments], capture_output=True, text=True, env=environment, check=False)
    return done.stdout + done.stderr


def block(name):
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL).group(1).strip()


def test_settings_table():
    assert block("settings") == winnow("config", "table").strip(), "paste the output of: build/winnow config table"


@pytest.mark.parametrize("name", ["read_only", "allow_fault_injection"])
def test_switches_are_told_truly(name):
    """The flag stands alone, the variable needs a yes: the table says so, and both do the same."""
    flag, variable = "--" + name.replace("_", "-"), f"WINNOW_{name.upper()}"
    meaning = next(line for line in block("settings").splitlines() if line.startswith(f"| `{name}`")).split("|")[-2]
    assert meaning.startswith(" the flag alone, or yes: ")
    by_flag = winnow("config", "print", flag)
    by_variable = subprocess.run([WINNOW, "config", "print"], capture_output=True, text=True, check=True,
                                 env={**os.environ, variable: "yes"}).stdout
    for told in (by_flag, by_variable):
        assert re.search(rf"^{name} +yes ", told, re.MULTILINE), told


def test_demo_is_exact():
    assert "lost 0, double 0" in block("demo")


@pytest.mark.parametrize("command", sorted(set(re.findall(r"winnow ([a-z]+)", README)) & {
    "migrate", "pool", "worker", "submit", "explain", "status", "config"}))
def test_commands_exist(command):
    assert f"winnow {command}" in winnow(command, "--help")


def test_explained_event():
    event = re.search(r"winnow explain '(\{.*?\})'", README).group(1)
    shown = re.search(r"event_hash = ([0-9a-f-]{36})", README).group(1)
    assert shown in winnow("explain", event)


def test_log_events():
    """OPERATIONS.md has the whole table; the README names some of it."""
    table = winnow("config", "events").strip()
    text = (ROOT / "worker" / "OPERATIONS.md").read_text(encoding="utf-8")
    assert re.search(r"<!-- events -->\n(.*?)<!-- /events -->", text, re.DOTALL).group(1).strip() == table, \
        "paste the output of: build/winnow config events"
    named = re.findall(r"`event=([a-z_]+)`", README)
    assert named and all(f"| `{event}` |" in table for event in named)


def test_views_and_functions_exist():
    schema = "".join(path.read_text() for path in (ROOT / "migrations").glob("*.up.sql"))
    for name in set(re.findall(r"\b(?:analytics|winnow)\.(?!(?:conf|service|env)\b)[a-z_]+\b", README)):
        assert name in schema, name


def test_make_help_fits_a_terminal():
    shown = subprocess.run(["make", "-s", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    assert max(map(len, shown.splitlines())) <= 80, shown
    assert {"demo", "test", "install", "deb"} <= set(re.findall(r"^  make ([a-z-]+) ", shown, re.M)), shown
