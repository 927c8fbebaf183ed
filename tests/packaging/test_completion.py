"""Completion in real shells, and the pages of the manual: made from the tables of commands and settings."""

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time

import pytest
from winnow_test.pool import BINARY, run
from winnow_test.process import ROOT

SHELLS = ("bash", "zsh", "fish")
NO_SHELL = "this shell is not installed"


def program(*arguments):
    return run(*arguments, check=True).out


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A directory with a script for each shell, and with winnow."""
    directory = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (directory / shell).write_text(program("completion", shell))
    (directory / "bin").mkdir()
    (directory / "bin/winnow").symlink_to(BINARY)
    (directory / "events.jsonl").write_text("")
    return directory


def ask_bash(scripts, line):
    """COMPREPLY for the line, as readline would fill it."""
    script = f"""source {scripts}/bash
        compopt() {{ :; }}
        COMP_WORDS=({line}); [[ "{line}" == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _winnow; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], cwd=scripts, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def ask_fish(scripts, line):
    script = f"set -x PATH {scripts}/bin $PATH; source {scripts}/fish; complete -C '{line}'"
    done = subprocess.run(["fish", "--no-config", "-c", script], cwd=scripts, capture_output=True, text=True, check=True,
                          env={**os.environ, "HOME": str(scripts)})
    assert done.stderr == ""
    return [offered.split("\t")[0] for offered in done.stdout.splitlines()]


class Terminal:
    """A shell that believes it talks with a person."""

    def __init__(self, argv, directory):
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.environ.update(TERM="dumb", PS1="ready> ", HOME=str(directory), ZDOTDIR=str(directory), LC_ALL="C.UTF-8",
                              PATH=f"{directory}/bin:{os.environ['PATH']}")
            os.execvp(argv[0], argv)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 500, 0, 0))  # no line is broken
        self._seen = ""

    def type(self, text):
        os.write(self._fd, text.encode())

    def see(self, pattern, timeout_s=60):
        """Waits until what was written since the last call holds the pattern, and returns that text."""
        deadline = time.monotonic() + timeout_s
        while not re.search(pattern, re.sub("[^\b]\b", "", self._seen)):  # zsh takes back the space that it has added
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} is not in {self._seen!r}"
            if select.select([self._fd], [], [], left)[0]:
                self._seen += os.read(self._fd, 65536).decode(errors="replace")
        seen, self._seen = self._seen, ""
        return seen

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self._fd)


def terminal(shell, scripts):
    """The shell with its completion loaded, at its prompt."""
    argv, load = {
        "bash": (["bash", "--norc", "--noprofile", "-i"], f"bind 'set bell-style none'; source {scripts}/bash"),
        "zsh": (["zsh", "-f", "-i"], f"autoload -Uz compinit; compinit -u -D; unsetopt beep; source {scripts}/zsh"),
    }[shell]
    made = Terminal(argv, scripts)
    made.type(f"{load}; PS1='re''ady> '\n")
    made.see("ready> ")
    return made


EXPECTED = [
    ("winnow mig", {"migrate"}, set()),
    ("winnow ", {"pool", "status", "explain", "console", "help"}, {"housekeep", "manual"}),
    ("winnow config ", {"check", "print", "example"}, {"table"}),
    ("winnow migrate st", {"status"}, set()),
    ("winnow pool --batch-", {"--batch-rows", "--batch-bytes", "--batch-age-ms"}, {"--slot", "--listen"}),
    ("winnow pool --log-level ", {"error", "warning", "info", "debug"}, set()),
    ("winnow submit --file ev", {"events.jsonl"}, set()),
    ("winnow help set", {"settings"}, set()),
    ("winnow completion ", set(SHELLS), set()),
]


@pytest.mark.parametrize("shell, ask", [("bash", ask_bash), ("fish", ask_fish)])
@pytest.mark.parametrize("line, among, without", EXPECTED)
def test_what_is_offered(scripts, shell, ask, line, among, without):
    if not shutil.which(shell):
        pytest.skip(NO_SHELL)
    offered = set(ask(scripts, line))
    assert among <= offered
    assert not without & offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_keys_in_a_terminal(scripts, shell):
    """As a person types: a command, an option and its value, each begun and completed."""
    if not shutil.which(shell):
        pytest.skip(NO_SHELL)
    typed = terminal(shell, scripts)
    try:
        typed.type("winnow po\t--log-l\td\t")
        typed.see("winnow pool --log-level debug")
        typed.type("-g x --allow-f\t")
        typed.see("--allow-fault-injection")
        typed.type("\x15winnow config ex\t")
        typed.see("winnow config example")
        typed.type("\x15winnow submit -f even\t")
        typed.see(r"winnow submit -f events\.jsonl")
    finally:
        typed.close()


def flags_in_help(*command):
    """Where they are told; sentences may name those of other commands."""
    text = program("help", *command)
    told = set(re.findall(r"^  (?:-\w, | {4})(--[a-z][a-z-]*)", text, re.MULTILINE))
    return told | {flag for line in re.findall(r"^  (--.*)$", text, re.MULTILINE) for flag in line.split() if flag.startswith("--")}


@pytest.mark.parametrize("command", ["pool", "submit", "status", "console", "explain", "migrate"])
def test_every_option_is_offered(scripts, command):
    assert flags_in_help(command) <= set(ask_bash(scripts, f"winnow {command} --"))


def test_scripts_are_sound(scripts):
    assert subprocess.run(["shellcheck", "-s", "bash", scripts / "bash"], check=False).returncode == 0
    for shell in ("zsh", "fish"):
        if shutil.which(shell):
            assert subprocess.run([shell, "-n", scripts / shell], capture_output=True, check=True).stderr == b""


def test_subcommands(scripts):
    """Of a command that has some: they are offered behind it, and their options behind them."""
    parents = re.findall(r"paths='\|(.*)'", (scripts / "bash").read_text())[0].split("|")
    for path in filter(None, parents):
        parent, sub = path.split()
        assert sub in ask_bash(scripts, f"winnow {parent} ")
        assert flags_in_help(parent, sub) <= set(ask_bash(scripts, f"winnow {path} --"))


# ---- the manual ----

PAGES = {"1": "winnow.1", "5": "winnow.conf.5"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("manual")
    for section, name in PAGES.items():
        (directory / name).write_text(program("manual", section))
    return directory


@pytest.mark.parametrize("name", PAGES.values())
def test_page_is_sound(pages, name):
    """mandoc finds nothing, groff neither."""
    if shutil.which("mandoc"):
        found = subprocess.run(["mandoc", "-Tlint", "-Wwarning", pages / name], capture_output=True, text=True, check=False)
        assert (found.returncode, found.stdout) == (0, "")
    rendered = subprocess.run(["groff", "-Tutf8", "-mandoc", "-ww", pages / name], capture_output=True, text=True, check=True)
    assert rendered.stderr == ""


def text_of(page):
    """As a person reads it, without the marks of bold and underlined letters."""
    shown = subprocess.run(["groff", "-Tascii", "-mandoc", page], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\x1b\[[0-9;]*m|.\x08", "", shown)


def test_page_of_commands_tells_all(pages):
    text = text_of(pages / "winnow.1")
    for command in set(re.findall(r"^  ([a-z]+) ", program("help"), re.MULTILINE)) - {"winnow"}:
        assert f"winnow {command}" in text
        for flag in flags_in_help(command) - {"--help"}:
            assert flag in text, f"{command} {flag}"
    assert "housekeep" not in text


def test_page_of_settings_tells_all(pages):
    text = text_of(pages / "winnow.conf.5")
    for name in re.findall(r"^\| `([a-z_]+)`", program("config", "table"), re.MULTILINE):
        assert f"{name} = " in text
        assert f"WINNOW_{name.upper()}" in text


def test_pages_are_reproducible():
    """The date is the one of the sources."""
    made = [subprocess.run([BINARY, "manual", "1"], capture_output=True, check=True, text=True,
                           env={**os.environ, "SOURCE_DATE_EPOCH": "1704067200"}).stdout for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].startswith(".Dd January 1, 2024\n")


def test_exit_codes_are_those_of_the_readme(pages):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    codes = re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)
    section = text_of(pages / "winnow.1").split("EXIT STATUS")[1].split("SEE ALSO")[0]
    assert re.findall(r"^ +(\d+) ", section, re.MULTILINE) == codes
