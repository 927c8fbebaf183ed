"""What all producers have in common."""

import threading

from winnow_test.produce import NotSent

ACKNOWLEDGED_TIMEOUT_S = 150


class Feed:
    """A thread that sends until it is told to stop. `acknowledged` is what the broker said it has."""

    def __init__(self, brokers, topic, places):
        self._brokers = brokers
        self._topic = topic
        self._places = places
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged = []
        self.unknown_count = 0
        self.error = None

    def start(self):
        self._thread.start()

    def _run(self):
        try:
            self._send_all()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def _send_all(self):
        raise NotImplementedError

    def stop(self):
        """Waits for what is outstanding."""
        self._stopping.set()
        self._thread.join(2 * ACKNOWLEDGED_TIMEOUT_S)
        if self._thread.is_alive():
            raise NotSent(f"{type(self).__name__} does not come to its end")
        if self.error is not None:
            raise self.error
