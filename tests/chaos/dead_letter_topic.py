"""The dead-letter topic, deleted and made again while letters are published to it.

What was published before a deletion is gone with it, and rightly so: those copies are read before, at a moment when
nobody can publish. So each letter must be in one of the incarnations, without a doubt left."""

from winnow_test import letters
from winnow_test.poll import wait_until

PARTITIONS = 2
SETTLED_TIMEOUT_S = 20


class DeadLetterTopic:
    """proxy: the only way on which the pool reaches the broker."""

    def __init__(self, broker, proxy, name, config):
        self._broker = broker
        self._proxy = proxy
        self._config = config
        self._gone = {}          # winnow-id → copies in incarnations that are no more
        self.name = name

    def create(self):
        self._broker.create_topic(self.name, PARTITIONS, self._config)

    def delete(self):
        """Reads it to its end while the pool is cut off from the broker, and deletes it."""
        self._proxy.refuse(True)
        try:
            self._proxy.reset()
            self._wait_until_settled()
            for name, copies in letters.published(self._broker, self.name).items():
                self._gone.setdefault(name, []).extend(copies)
            self._broker.delete_topic(self.name)
        finally:
            self._proxy.refuse(False)

    def _wait_until_settled(self):
        """What the broker had received before the connections were reset is written by then."""
        ends = []

        def looks():
            ends.append(self._broker.end_offsets(self.name))
            return ends[-3:] == [ends[-1]] * 3

        wait_until(looks, SETTLED_TIMEOUT_S, "nobody publishes any more")

    def published(self):
        """winnow-id → all copies there ever were."""
        copies = {name: list(messages) for name, messages in self._gone.items()}
        for name, messages in letters.published(self._broker, self.name).items():
            copies.setdefault(name, []).extend(messages)
        return copies
