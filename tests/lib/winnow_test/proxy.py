"""A TCP proxy that breaks connections on demand, and can do so at an exact byte.

    with Proxy(server.port) as proxy:
        dsn = server.tcp_dsn(database, port=proxy.port)
        ...
        proxy.reset()

One thread serves all connections; every method runs there, so that when it returns the fault has begun."""

import array
import fcntl
import queue
import random
import selectors
import socket
import struct
import termios
import threading
import time
from collections import deque

HOST = "127.0.0.1"
CHUNK_BYTES = 64 << 10
BUFFER_BYTES = 4 << 20     # read ahead of what the other side takes or a delay holds back
CALL_TIMEOUT_S = 10
DRAIN_PAUSE_S = 0.001
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Cut:
    """An order to break connections; Proxy.cut() makes it and tells what it means.

    counted: bytes that went through since the last match. done: how often it has cut."""

    def __init__(self, match, after, direction, times, how):
        if direction not in ("up", "down") or how not in ("reset", "drop", "stall"):
            raise ValueError(f"no cut {direction} by {how}")
        if direction == "down" and after < 0:
            raise ValueError("an answer has no bytes before its first")
        self.match = match
        self.after = after
        self.direction = direction
        self.times = times
        self.how = how
        self.link = None    # where the match was seen
        self.counted = 0
        self.done = 0

    def begin(self, link, end, size):
        """The match ends at byte `end` of the next `size` bytes up. Returns how many of them pass, None for all."""
        self.link = link
        self.counted = 0
        return self.limit(size - end, end) if self.direction == "up" else None

    def limit(self, size, before=0):
        """Counts the next `size` bytes, which come behind `before` others. Returns how many of all of them pass,
        None for all. A cut behind 0 bytes of an answer waits for its first one: the server has done its work."""
        left = self.after - self.counted
        self.counted += max(0, min(left, size))
        return before + left if left <= size else None


class Pipe:
    """One direction of a connection."""

    def __init__(self, name, source, sink):
        self.name = name
        self.source = source
        self.sink = sink
        self.chunks = deque()   # (when it is due, bytes)
        self.size = 0
        self.ended = False      # the source has sent FIN
        self.ended_on = False   # and it was passed on
        self.last = b""         # what may be the beginning of a match

    def put(self, due, chunk):
        if chunk:
            self.chunks.append((max(due, self.chunks[-1][0]) if self.chunks else due, chunk))
            self.size += len(chunk)

    def send_due(self, now):
        while self.chunks and self.chunks[0][0] <= now:
            due, chunk = self.chunks[0]
            sent = self.sink.send(chunk)
            self.size -= sent
            if sent < len(chunk):
                self.chunks[0] = (due, chunk[sent:])
                return
            self.chunks.popleft()
        if self.ended and not self.chunks and not self.ended_on:
            self.ended_on = True
            self.sink.shutdown(socket.SHUT_WR)

    def is_empty(self):
        """Nothing is left here, nor in the kernel's buffer on the way to the other side."""
        unsent = array.array("i", [0])
        fcntl.ioctl(self.sink.fileno(), termios.TIOCOUTQ, unsent)
        return not self.chunks and unsent[0] == 0


class Link:
    """A client's connection and ours to the server (none for one that a black hole took)."""

    def __init__(self, client, server):
        self.sockets = [client] if server is None else [client, server]
        for one in self.sockets:
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pipes = [] if server is None else [Pipe("up", client, server), Pipe("down", server, client)]
        self.connected = False
        self.stalled = server is None
        self.end = None         # a cut was here: how it ends ...
        self.last_pipe = None   # ... when all that may still pass here has passed

    def close(self, by_reset):
        for one in self.sockets:
            try:
                if by_reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                else:
                    _discard_input(one)  # what is unread would make a reset of it
                    one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


def _discard_input(one):
    try:
        while one.recv(CHUNK_BYTES):
            pass
    except OSError:
        pass


class Proxy:
    """Listens on 127.0.0.1:port and forwards to 127.0.0.1:target, which may be set later.

    Methods that return a count tell how many connections they hit. seed: of the jitter of delays. source: the address,
    such as 127.0.0.2, that its connections come from."""

    def __init__(self, target=None, seed=1, source=None):
        self.target = target
        self._source = source
        self.cut_count = 0
        self._random = random.Random(seed)
        self._delay = (0, 0)
        self._black_hole = False
        self._refuse = False
        self._links = []
        self._cuts = []
        self._calls = queue.Queue()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._open = True
        self._thread = threading.Thread(target=self._serve, name="fault proxy", daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.close()

    # ---- what tests call

    def drop(self):
        """Ends all connections by FIN."""
        return self._call(lambda: self._end_all(by_reset=False))

    def reset(self):
        """Ends all connections by RST."""
        return self._call(lambda: self._end_all(by_reset=True))

    def delay(self, seconds, jitter=0):
        """Everything that comes from now on is passed on so much later, plus up to `jitter` s, in order."""
        self._call(lambda: setattr(self, "_delay", (seconds, jitter)))

    def stall(self):
        """The connections that exist are half-open from now on: nothing passes, not even an end."""
        return self._call(self._stall_all)

    def black_hole(self, active=True):
        """New connections are accepted and get nothing."""
        self._call(lambda: setattr(self, "_black_hole", active))

    def refuse(self, active=True):
        """New connections are reset at once."""
        self._call(lambda: setattr(self, "_refuse", active))

    def heal(self):
        """Ends delay, black hole, refusal and the cuts to come; resets half-open connections."""
        return self._call(self._heal)

    def cut(self, match, after, direction="up", times=1, how="reset"):
        """The next `times` times that the bytes `match` go up (to the server), exactly `after` bytes more pass,
        counted behind the match when direction is "up", in the server's answer when it is "down"; then the
        connection ends (how: "reset", "drop") or is half-open ("stall").

        after < 0 with "up": so many bytes up to the end of the match do not pass either. A negative count is exact
        only if the sender wrote them with the match. An empty match is there at the next byte up. Returns the Cut."""
        order = Cut(match, after, direction, times, how)
        self._call(lambda: self._cuts.append(order))
        return order

    def connection_count(self):
        """Those that pass data; half-open ones are not among them."""
        return self._call(lambda: sum(not link.stalled for link in self._links))

    def silent_count(self):
        """Half-open connections and those that a black hole took, also after their client has given them up."""
        return self._call(lambda: sum(link.stalled for link in self._links))

    def close(self):
        """Ends everything; a second call does nothing."""
        if self._thread.is_alive():
            self._call(lambda: setattr(self, "_open", False))
            self._thread.join(CALL_TIMEOUT_S)

    # ---- the thread

    def _call(self, function):
        done = queue.Queue()
        self._calls.put((function, done))
        self._wake.send(b"x")
        value, error = done.get(timeout=CALL_TIMEOUT_S)
        if error is not None:
            raise error
        return value

    def _run_calls(self):
        self._woken.recv(4096)
        while not self._calls.empty():
            function, done = self._calls.get()
            try:
                done.put((function(), None))
            except Exception as error:  # pylint: disable=broad-except
                done.put((None, error))

    def _serve(self):
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while self._open:
            for key, events in self._selector.select(self._pause()):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._run_calls()
                elif key.data in self._links and not key.data.stalled:
                    self._guard(key.data, lambda k=key, e=events: self._on_event(k.data, k.fileobj, e))
            for link in list(self._links):
                if not link.stalled:
                    self._guard(link, lambda moved=link: self._move(moved))
        self._end_all(by_reset=True)
        for one in (self._listener, self._wake, self._woken, self._selector):
            one.close()

    def _pause(self):
        """Seconds until something is due by itself."""
        if any(link.end is not None and not link.stalled for link in self._links):
            return DRAIN_PAUSE_S
        now = time.monotonic()
        due = [pipe.chunks[0][0] for link in self._links if not link.stalled for pipe in link.pipes if pipe.chunks]
        late = [when - now for when in due if when > now]  # what is due already waits for its socket
        return min(late) if late else None

    def _guard(self, link, work):
        """What one side of a connection suffers, the other suffers too."""
        try:
            work()
        except BlockingIOError:
            self._watch(link)
        except OSError:
            self._end(link, by_reset=True)

    def _accept(self):
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        if self._refuse or (self.target is None and not self._black_hole):
            Link(client, None).close(by_reset=True)
            return
        server = None if self._black_hole else socket.socket()
        link = Link(client, server)
        self._links.append(link)
        if server is not None:
            if self._source is not None:
                server.bind((self._source, 0))
            server.connect_ex((HOST, self.target))
            self._watch(link)

    def _on_event(self, link, one, events):
        if not link.connected and one is link.sockets[1]:
            error = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error != 0:
                raise OSError(error, "the target refuses")
            link.connected = True
        pipe = next(pipe for pipe in link.pipes if pipe.source is one)
        if events & selectors.EVENT_READ and pipe is not link.last_pipe:
            self._read(link, pipe)

    def _read(self, link, pipe):
        chunk = pipe.source.recv(CHUNK_BYTES)
        pipe.ended = not chunk
        passes = self._look_for_cut(link, pipe, chunk) if chunk and link.end is None else None
        seconds, jitter = self._delay
        pipe.put(time.monotonic() + seconds + self._random.uniform(0, jitter), chunk[:passes])

    def _look_for_cut(self, link, pipe, chunk):
        """How many bytes of the chunk pass, None for all."""
        for cut in self._cuts:
            passes = None
            if cut.link is link and pipe.name == cut.direction:
                passes = cut.limit(len(chunk))
            elif pipe.name == "up" and (cut.link is None or cut.direction == "down"):
                end = _end_of_match(pipe.last, chunk, cut.match)
                if end is not None:
                    passes = cut.begin(link, end, len(chunk))
            if passes is not None:
                self._arm(cut, link, pipe)
                return max(0, passes)
        pipe.last = (pipe.last + chunk)[-256:]
        return None

    def _arm(self, cut, link, pipe):
        link.end = cut.how
        link.last_pipe = pipe
        cut.link = None
        cut.done += 1
        if cut.done >= cut.times:
            self._cuts.remove(cut)

    def _move(self, link):
        if link.connected:
            for pipe in link.pipes:
                _send_due(pipe)
        if link.end is not None:
            self._finish_cut(link)
        elif link.connected and all(pipe.ended_on for pipe in link.pipes):
            self._end(link, by_reset=False)
        else:
            self._watch(link)

    def _finish_cut(self, link):
        """A reset destroys what is still under way, so the other side must have it before."""
        if link.connected and link.last_pipe.is_empty():
            self.cut_count += 1
            if link.end == "stall":
                self._stall(link)
            else:
                self._end(link, by_reset=link.end == "reset")
        else:
            self._watch(link)

    def _watch(self, link):
        for one in link.sockets:
            events = self._events_of(link, one)
            watched = one in self._selector.get_map()
            if not events and watched:
                self._selector.unregister(one)
            elif events and watched:
                self._selector.modify(one, events, link)
            elif events:
                self._selector.register(one, events, link)

    def _events_of(self, link, one):
        events = 0
        for pipe in link.pipes:
            if pipe.source is one and not pipe.ended and pipe is not link.last_pipe and pipe.size < BUFFER_BYTES:
                events |= selectors.EVENT_READ
            if pipe.sink is one and pipe.chunks and pipe.chunks[0][0] <= time.monotonic():
                events |= selectors.EVENT_WRITE
        if not link.connected and one is link.sockets[-1]:
            events = selectors.EVENT_WRITE
        return events

    def _unwatch(self, link):
        for one in link.sockets:
            if one in self._selector.get_map():
                self._selector.unregister(one)
        for cut in self._cuts:
            if cut.link is link:
                cut.link = None

    def _end(self, link, by_reset):
        self._unwatch(link)
        link.close(by_reset)
        self._links.remove(link)

    def _end_all(self, by_reset):
        count = len(self._links)
        for link in list(self._links):
            self._end(link, by_reset)
        return count

    def _stall(self, link):
        self._unwatch(link)
        link.stalled = True

    def _stall_all(self):
        fresh = [link for link in self._links if not link.stalled]
        for link in fresh:
            self._stall(link)
        return len(fresh)

    def _heal(self):
        self._delay = (0, 0)
        self._black_hole = self._refuse = False
        self._cuts.clear()
        stalled = [link for link in self._links if link.stalled]
        for link in stalled:
            self._end(link, by_reset=True)
        return len(stalled)


def _send_due(pipe):
    try:
        pipe.send_due(time.monotonic())
    except BlockingIOError:
        pass


def _end_of_match(last, chunk, match):
    """Where in the chunk the match ends that may have begun in the bytes before it; None without one."""
    before = last[-(len(match) - 1):] if len(match) > 1 else b""
    found = (before + chunk).find(match)
    return None if found < 0 else found + len(match) - len(before)
