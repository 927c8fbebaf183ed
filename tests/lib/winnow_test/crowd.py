"""Many connections at once that do no good: those that say nothing, and those that say or take everything slowly."""

import selectors
import socket
import threading
import time

EVERY_S = 0.5  # one byte of each slow one
HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
LONG_HEAD = (b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             b"Content-Length: 100000\r\n\r\n")


def _connect(port, receive_bytes=None):
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_bytes is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    made.settimeout(40)
    made.connect(("127.0.0.1", port))
    made.setblocking(False)
    return made


class Guest:
    """A connection of the crowd."""

    def __init__(self, port, kind, path=None):
        self.kind = kind
        self.socket = _connect(port, 4096 if kind == "reader" else None)
        self.sent = 0
        self.taken = 0
        self.cut_after_s = None
        self._begun = time.monotonic()
        if kind == "body":
            self.socket.send(LONG_HEAD)
        elif kind == "reader":
            self.socket.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def _cut(self):
        self.cut_after_s = time.monotonic() - self._begun

    def say(self):
        """One more byte, from those that still send."""
        text = {"head": HEAD + b"X: " + b"x" * 10000, "body": b"{" * 100000}.get(self.kind)
        if text is None or self.cut_after_s is not None:
            return
        try:
            self.sent += self.socket.send(text[self.sent:self.sent + 1])
        except BlockingIOError:
            pass
        except OSError:
            self._cut()

    def take(self):
        """What has come, or of a reader a single byte."""
        try:
            data = self.socket.recv(1 if self.kind == "reader" else 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.taken += len(data)
        if not data:
            self._cut()


class Crowd:
    """`with Crowd(port, {"idle": 1000, "head": 70, "reader": 60}, "/api/…") as crowd:` keeps them at it in a thread."""

    def __init__(self, port, kinds, path=None):
        self.guests = [Guest(port, kind, path) for kind, count in kinds.items() for _ in range(count)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        for guest in self.guests:
            guest.socket.close()

    def of(self, kind):
        return [guest for guest in self.guests if guest.kind == kind]

    def cut(self, kind):
        return sum(guest.cut_after_s is not None for guest in self.of(kind))

    def _run(self):
        with selectors.DefaultSelector() as selector:
            for guest in self.guests:
                selector.register(guest.socket, selectors.EVENT_READ, guest)
            while not self._stop.wait(EVERY_S):
                for key, _ in selector.select(0):
                    key.data.take()
                    if key.data.cut_after_s is not None:
                        selector.unregister(key.fileobj)
                for guest in self.guests:
                    guest.say()
