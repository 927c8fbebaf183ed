"""What systemd is to a service: the socket that NOTIFY_SOCKET names."""

import socket
import time

from .poll import wait_until
from .process import make_directory, remove_directory


class ServiceManager:
    """`with ServiceManager() as manager:` give a process manager.variables(), and read what it tells."""

    def __init__(self):
        self._directory = make_directory("notify")
        self._path = self._directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        self._messages = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        remove_directory(self._directory)

    def variables(self, watchdog_s=None):
        made = {"NOTIFY_SOCKET": str(self._path)}
        return made if watchdog_s is None else {**made, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}

    def messages(self):
        """All so far, in order; (time of reading, text)."""
        try:
            while True:
                self._messages.append((time.monotonic(), self._socket.recv(4096).decode()))
        except BlockingIOError:
            return list(self._messages)

    def told(self):
        """The texts, without signs of life."""
        return [text for _, text in self.messages() if text != "WATCHDOG=1"]

    def signs(self):
        """How many signs of life so far."""
        return sum(text == "WATCHDOG=1" for _, text in self.messages())

    def wait_for(self, text, timeout_s=90, count=1):
        """Waits until a message that begins so was told that often."""
        wait_until(lambda: sum(told.startswith(text) for told in self.told()) >= count, timeout_s,
                   f"the service manager is told {text}", on_timeout=lambda: "\n".join(self.told()))


def variables_of(pid):
    """The names of the environment that a process was started with."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        return {entry.split(b"=")[0].decode() for entry in file.read().split(b"\0") if entry}
