"""Faults of the network between the pool and a server."""

from front import Front
from stream import RETRY_KEY

CUT_TIMEOUT_S = 3
# A statement of a batch: Bind to no portal, of the prepared statement of that name.
STATEMENT = b"\0apply\0"
STATEMENT_SIZES = (16, 2000, 20000)     # up to where to cut: its head, a small one, a large one
ANSWER_SIZE = 150


class NetworkFront(Front):
    """All connections through one proxy. What was refused or stalled is healed before the next fault."""

    kinds = ("drop", "reset", "reset", "delay", "stall", "refuse", "black_hole")

    def __init__(self, scene, name, proxy):
        super().__init__(scene, name)
        self.proxy = proxy

    def drop(self):
        return self.proxy.drop() > 0

    def reset(self):
        return self.proxy.reset() > 0

    def delay(self):
        count = self.proxy.connection_count()
        self.proxy.delay(self.random.uniform(0.01, 0.2), self.random.uniform(0, 0.1))
        self.last(0.5, 2)
        self.proxy.delay(0, 0)
        return count > 0

    def stall(self):
        """Half-open: no byte passes, and nobody says so; sometimes beyond the session timeout."""
        count = self.proxy.stall()
        self.last(0.5, 3)
        self.proxy.heal()
        return count > 0

    def refuse(self):
        self.proxy.refuse(True)
        count = self.proxy.reset()
        self.last(0.1, 1.5)
        self.proxy.heal()
        return count > 0

    def black_hole(self):
        """Connections are accepted, and nobody is behind them."""
        self.proxy.black_hole(True)
        count = self.proxy.reset()
        self.last(0.5, 2)
        self.proxy.heal()
        return count > 0

    def cut(self, match, after, direction):
        before = self.proxy.cut_count
        self.proxy.cut(match, after, direction)
        hit = self.last_until(lambda: self.proxy.cut_count > before, CUT_TIMEOUT_S)
        if not hit:
            self.proxy.heal()
        return hit


class DatabaseFront(NetworkFront):
    """Also cuts the statement of a batch, or its answer, at a random byte: has it been written?"""

    kinds = (*NetworkFront.kinds, *["cut_statement"] * 4, *["cut_answer"] * 4)

    def cut_statement(self):
        return self.cut(STATEMENT, self.random.randrange(self.random.choice(STATEMENT_SIZES)), "up")

    def cut_answer(self):
        return self.cut(STATEMENT, self.random.randrange(ANSWER_SIZE), "down")


class KafkaFront(NetworkFront):
    """Also cuts the answer to the producer that then sends again what is there already. A producer that is not
    idempotent is not there when nothing may be sent twice: then this hits nothing."""

    kinds = (*NetworkFront.kinds, "cut_producers_answer", "cut_producers_answer")

    def cut_producers_answer(self):
        return self.cut(RETRY_KEY, 0, "down")
