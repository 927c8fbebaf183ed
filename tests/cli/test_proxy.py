"""The fault proxy itself, between a client and a server that echoes."""

import select
import socket
import threading
import time

import pytest

from winnow_test.poll import wait_until
from winnow_test.proxy import Proxy

TIMEOUT_S = 60
SOON_S = 0.2   # to see that nothing comes


class Echo(threading.Thread):
    """Answers every byte, closes when the client does; remembers what came (`received`) and how it ended."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.received = []
        self.ends = []

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.received.append(b"")
            threading.Thread(target=self.serve, args=(client, len(self.received) - 1), daemon=True).start()

    def serve(self, client, index):
        end = "FIN"
        with client:
            try:
                while chunk := client.recv(65536):
                    self.received[index] += chunk
                    end = "RST" if end == "RST" or not _send(client, chunk) else "FIN"  # what has come can be read still
            except OSError:
                end = "RST"
        self.ends.append(end)


@pytest.fixture
def echo():
    server = Echo()
    server.start()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()


@pytest.fixture
def proxy(echo):
    with Proxy(echo.port) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy):
    made = []

    def connect():
        made.append(socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT_S))
        return made[-1]

    yield connect
    for client in made:
        client.close()


def receive(client, size):
    """That many bytes, fewer at FIN, and "RST" behind them at a reset."""
    got = b""
    try:
        while len(got) < size and (chunk := client.recv(size - len(got))):
            got += chunk
    except ConnectionResetError:
        return got, "RST"
    return got, None if len(got) == size else "FIN"


def ask(client, data):
    client.sendall(data)
    return receive(client, len(data))[0]


def is_refused(connect):
    """The reset may come before connect() has returned."""
    try:
        return receive(connect(), 1) == (b"", "RST")
    except ConnectionResetError:
        return True


def is_silent(client):
    return not select.select([client], [], [], SOON_S)[0]


def test_passes_everything_and_the_end(proxy, echo, connect):
    client = connect()
    data = bytes(range(256)) * 20000  # more than any buffer holds
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    assert receive(client, len(data) + 1) == (data, "FIN")
    sender.join()
    wait_until(lambda: proxy.connection_count() == 0 and echo.ends == ["FIN"], TIMEOUT_S, "the end has passed")


@pytest.mark.parametrize("end", ["FIN", "RST"])
def test_ends_what_there_is(proxy, echo, connect, end):
    clients = [connect(), connect()]
    assert [ask(client, b"x") for client in clients] == [b"x", b"x"]
    assert (proxy.drop() if end == "FIN" else proxy.reset()) == 2
    assert [receive(client, 1) for client in clients] == [(b"", end), (b"", end)]
    wait_until(lambda: echo.ends == [end, end], TIMEOUT_S, "the server has seen it")
    assert ask(connect(), b"new") == b"new"


def test_half_open_connections(proxy, echo, connect):
    client = connect()
    assert ask(client, b"x") == b"x"
    assert proxy.stall() == 1
    client.sendall(b"lost")
    assert ask(connect(), b"new") == b"new"
    assert is_silent(client) and echo.received[0] == b"x"
    assert proxy.connection_count() == 1
    assert proxy.heal() == 1
    assert receive(client, 1) == (b"", "RST")


def test_black_hole_and_refusal(proxy, connect):
    proxy.black_hole()
    client = connect()
    client.sendall(b"lost")
    assert is_silent(client)
    proxy.black_hole(False)
    assert ask(connect(), b"x") == b"x"
    proxy.refuse()
    assert is_refused(connect)
    assert proxy.heal() == 1
    assert ask(connect(), b"x") == b"x"


def test_delay_keeps_the_order(proxy, connect):
    client = connect()
    proxy.delay(0.05, 0.05)
    begun = time.monotonic()
    for number in range(20):
        client.sendall(b"%02d" % number)
    assert receive(client, 40)[0] == b"".join(b"%02d" % number for number in range(20))
    assert time.monotonic() - begun >= 0.1  # up and down
    proxy.delay(0)


def test_a_target_that_is_not_there(proxy, connect):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        proxy.target = gone.getsockname()[1]
    assert is_refused(connect)


@pytest.mark.parametrize("after", [-6, -1, 0, 1, 5, 1000, 65536, 199996])
@pytest.mark.parametrize("parts", [1, 2])
def test_cut_at_an_exact_byte_up(proxy, echo, connect, after, parts):
    """parts = 2: the match comes in two pieces, of which the first has passed when the second comes."""
    client = connect()
    assert ask(client, b"before") == b"before"
    proxy.cut(b"WORD", after)
    if parts == 2:
        assert ask(client, b"..WO") == b"..WO"
    data = (b"..WORD" if parts == 1 else b"RD") + bytes(200000)
    try:
        client.sendall(data)
    except ConnectionError:
        pass
    wait_until(lambda: echo.ends == ["RST"], TIMEOUT_S, "the server's connection is reset")
    exact = len(b"before" + b"..WORD") + after
    assert len(echo.received[0]) == (max(exact, len(b"before..WO")) if parts == 2 else exact)
    assert proxy.cut_count == 1
    assert ask(connect(), b"WORD again") == b"WORD again"


@pytest.mark.parametrize("after", [0, 1, 500, 70000, 100000])
def test_cut_at_an_exact_byte_of_the_answer(proxy, echo, connect, after):
    cut = proxy.cut(b"WORD", after, "down", times=2)
    for number in (1, 2):
        client = connect()
        assert ask(client, b"before") == b"before"
        data = b"WORD" + bytes(99996)
        sender = threading.Thread(target=_send, args=(client, data))
        sender.start()
        assert receive(client, len(data) + 1) == (data[:after], "RST")
        sender.join()
        assert (cut.done, proxy.cut_count) == (number, number)
    assert ask(connect(), b"WORD again") == b"WORD again"
    assert after > 0 or echo.received[0][:10] == b"beforeWORD"


def _send(client, data):
    try:
        client.sendall(data)
        return True
    except OSError:
        return False


@pytest.mark.parametrize("how", ["drop", "stall"])
def test_other_ends_of_a_cut(proxy, echo, connect, how):
    client = connect()
    proxy.cut(b"WORD", 2, how=how)
    client.sendall(b"..WORD1234")
    if how == "drop":
        assert receive(client, 100)[1] == "FIN"
    else:
        wait_until(lambda: proxy.cut_count == 1, TIMEOUT_S, "the cut is done")
        assert proxy.connection_count() == 0
    wait_until(lambda: echo.received == [b"..WORD12"], TIMEOUT_S, "what may pass has passed")  # may accept late


def test_counting_without_a_cut(proxy, connect):
    client = connect()
    up, down = proxy.cut(b"WORD", 1 << 40), proxy.cut(b"WORD", 1 << 40, "down")
    assert ask(client, b"..WORD1234") == b"..WORD1234"
    assert (up.counted, down.counted) == (4, 10)
    proxy.heal()
    with pytest.raises(ValueError):
        proxy.cut(b"WORD", -1, "down")
