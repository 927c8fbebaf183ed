"""Small transactions, some of them aborted: their control records, and the messages of aborted ones, are offsets without
a message.

The producer runs in a process of its own, because the client library can abort it (2.0.2: an assertion in
rd_kafka_txn_handle_AddPartitionsToTxn() after a broker came back); the next one takes over its transactions. It prints a
line of JSON when it begins one, and when it knows what became of it; its input tells it the number of partitions, and to
stop."""

import base64
import json
import random
import select
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

# pylint: disable=wrong-import-position
from confluent_kafka import KafkaException, Producer  # noqa: E402

from feed import ACKNOWLEDGED_TIMEOUT_S, Feed         # noqa: E402
from mixture import Mixture                           # noqa: E402
from winnow_test.process import Process               # noqa: E402
from winnow_test.produce import Message, Sent         # noqa: E402

TIMEOUT_S = 10
ABORTED_SHARE = 0.3
RATE = 1.5              # transactions a second
CENTS = 75
COUNT_OF_LIFE = 1000000  # where the amounts of the next process begin


class TransactionalStream(Feed):
    """Keeps such a process running, and reads what it tells."""

    def __init__(self, brokers, topic, places, seed, duplicate_share):
        super().__init__(brokers, topic, places)
        self._seed = seed
        self._duplicate_share = duplicate_share
        self._lives = 0
        self.committed_count = 0
        self.aborted_count = 0

    def _send_all(self):
        with tempfile.TemporaryDirectory(prefix="winnow-transactions-") as directory:
            ended_well = False
            while not ended_well:
                ended_well = self._live(Path(directory) / str(self._lives))
                self._lives += 1

    def _live(self, log_path):
        """The life of one process. True when it ended as it was told to."""
        process = Process([sys.executable, __file__, self._brokers, self._topic, self._seed, self._duplicate_share,
                           self._lives * COUNT_OF_LIFE], log_path, has_input=True)
        partitions = self._places.count
        _tell(process, partitions)
        while not self._stopping.wait(0.1) and process.is_running():
            if partitions != self._places.count:
                partitions = self._places.count
                _tell(process, partitions)
        _tell(process, "stop")
        code = process.wait(ACKNOWLEDGED_TIMEOUT_S)
        self._read(log_path)
        return code == 0

    def _read(self, log_path):
        for line in log_path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            if not line.startswith("{") or not line.endswith("\n"):
                continue  # the last words of a process that was aborted
            told = json.loads(line)
            self.unknown_count += told["unknown"]
            self.committed_count += told["end"] == "committed"
            self.aborted_count += told["end"] == "aborted"
            self.acknowledged += [Sent(Message(base64.b64decode(value)), partition, offset)
                                  for partition, offset, value in told["sent"]]


def _tell(process, text):
    """To one that may have ended."""
    try:
        process.write_line(str(text))
    except OSError:
        pass


# ---- the process -----------------------------------------------------------------------------------------


def _say(end, unknown, sent=()):
    print(json.dumps({"end": end, "unknown": unknown, "sent": [
        (report.partition, report.offset, base64.b64encode(report.message.value).decode()) for report in sent]}), flush=True)


class Child:
    """One client after the other, the next one when the one before is in trouble."""

    def __init__(self, brokers, topic, seed, duplicate_share, count):
        self._brokers = brokers
        self._topic = topic
        self._random = random.Random(f"transactions {seed} {count}")
        self._mixture = Mixture(f"transactions {count}", seed, CENTS, float(duplicate_share), int(count))
        self._orders = open(0, "rb", buffering=0)  # pylint: disable=consider-using-with
        self._partitions = int(self._orders.readline())
        self._stopping = False

    def run(self):
        """At the end no transaction is left open: readers would wait for it."""
        while not self._live():
            pass

    def _is_told_to_stop(self, wait_s):
        """Waits so long for an order."""
        if not self._stopping and select.select([self._orders], [], [], wait_s)[0]:
            order = self._orders.readline().strip()
            self._stopping = not order.isdigit()
            self._partitions = self._partitions if self._stopping else int(order)
        return self._stopping

    def _live(self):
        """True when it ended well."""
        producer = Producer({
            "bootstrap.servers": self._brokers, "transactional.id": "chaos", "linger.ms": 2, "log_level": 0,
            "transaction.timeout.ms": TIMEOUT_S * 1000, "message.timeout.ms": TIMEOUT_S * 1000})
        try:
            producer.init_transactions(TIMEOUT_S)  # ends what its predecessor left open
            while not self._is_told_to_stop(self._random.expovariate(RATE)):
                self._transact(producer)
            return True
        except (KafkaException, BufferError):
            return False
        finally:
            producer.purge()

    def _transact(self, producer):
        messages = [self._mixture.next(self._partitions) for _ in range(self._random.randrange(1, 20))]
        aborts = self._random.random() < ABORTED_SHARE
        _say("begun", len(messages))
        producer.begin_transaction()
        sent = self._send(producer, messages)
        if aborts:
            producer.abort_transaction(TIMEOUT_S)
            _say("aborted", -len(messages))
        else:
            producer.commit_transaction(TIMEOUT_S)
            _say("committed", -len(messages), sent)

    def _send(self, producer, messages):
        """All of them acknowledged."""
        sent = []
        for message in messages:
            producer.produce(self._topic, message.value, message.key, message.partition, headers=message.headers or None,
                             on_delivery=_remember(sent, message))
        if producer.flush(TIMEOUT_S) > 0 or len(sent) < len(messages):
            raise BufferError("not all are acknowledged")
        return sent


def _remember(sent, message):
    def delivered(error, report):
        if error is None:
            sent.append(Sent(message, report.partition(), report.offset()))
    return delivered


if __name__ == "__main__":
    Child(*sys.argv[1:]).run()
