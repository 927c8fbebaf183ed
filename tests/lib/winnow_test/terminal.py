"""A real terminal for a program, of tmux: what a person would see at any moment."""

import secrets
import shlex
import subprocess

from .poll import wait_until
from .process import make_directory, remove_directory

TMUX = ("tmux", "-f", "/dev/null")


class Terminal:
    """`with Terminal(["winnow", "migrate"]) as terminal: terminal.wait_for("2 of 3")`.

    The program has the environment given (TERM is set by tmux) and ends with the terminal. Its last screen
    stays readable after it has ended."""

    def __init__(self, argv, environment=None, columns=80, lines=24):
        self._directory = make_directory("terminal")
        self._socket = f"winnow-{secrets.token_hex(8)}"
        self._argv = [str(word) for word in argv]
        self._environment = {"PATH": "/usr/bin:/bin", **(environment or {})}
        self._size = ("-x", str(columns), "-y", str(lines))

    def __enter__(self):
        # A shell stays behind the program, since tmux writes over the screen of one that has ended.
        script = 'trap : INT; "$@"; echo $? > "$0"; exec cat'
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        command = shlex.join(["env", "-i", *variables, "TERM=screen-256color", "sh", "-c", script,
                              str(self._directory / "exit-code"), *self._argv])
        self._tmux("new-session", "-d", *self._size, command, ";", "set-option", "status", "off")
        return self

    def __exit__(self, *_):
        self._tmux("kill-server", check=False)
        remove_directory(self._directory)

    def _tmux(self, *arguments, check=True):
        return subprocess.run([*TMUX, "-L", self._socket, *arguments], check=check, capture_output=True,
                              encoding="utf-8", timeout=60).stdout

    def screen(self, colours=False):
        """The lines of the screen without trailing spaces and empty lines; with their escapes for colours."""
        text = self._tmux("capture-pane", "-p", *(["-e"] if colours else []))
        return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")

    def press(self, *keys):
        """Presses keys as tmux names them: "q", "C-c"."""
        self._tmux("send-keys", *keys)

    def resize(self, columns, lines):
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def wait_for(self, text, timeout_s=60):
        """Waits until the text stands on the screen, and returns that screen."""

        def screen_with_text():
            screen = self.screen()
            return screen if text in screen else None

        return wait_until(screen_with_text, timeout_s, f"{text!r} on the screen", on_timeout=self.screen)

    def wait_until_ended(self, timeout_s=60):
        """The program's exit code."""
        return int(wait_until(self._exit_code, timeout_s, "the end of the program", on_timeout=self.screen))

    def _exit_code(self):
        file = self._directory / "exit-code"
        return file.exists() and file.read_text().strip()
