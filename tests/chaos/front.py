"""Many small faults, one after the other in a thread, while bigger ones go on elsewhere."""

import random
import threading
import time
from collections import Counter

PAUSE_S = (0.1, 0.9)
LOOK_S = 0.02
END_TIMEOUT_S = 60


class Scene:
    """What the faults work on."""

    def __init__(self, options, **things):
        self.options = options
        self.pool = None
        self.log = []
        self.broker = self.server = self.database = self.places = self.dead_letter_topic = None
        self.topic = self.group = None
        vars(self).update(things)


class Front:
    """The names in `kinds` are methods that return whether they hit anything. All of them in an order that follows from
    the seed, then all again. A subclass ends each fault before its method returns."""

    kinds = ()

    def __init__(self, scene, name):
        self.scene = scene
        self.random = random.Random(f"{name} {scene.options.seed}")
        self.counts = Counter()
        self.error = None
        self._name = name
        self._round = []
        self._turn = threading.Lock()        # held while a fault lasts, and by who wants none
        self._hurry = threading.Event()      # somebody wants none
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        """Ends the fault that lasts, and the thread."""
        self._ending.set()
        self._hurry.set()
        if self._thread.ident is not None:
            self._thread.join(END_TIMEOUT_S)
            if self._thread.is_alive():
                self.error = AssertionError(f"{type(self).__name__} goes on with its faults")

    def demand_no_error(self):
        """Raises what ended the thread."""
        if self.error is not None:
            raise self.error

    def __enter__(self):
        """`with front:` there are no faults of this kind."""
        self._hurry.set()
        self._turn.acquire()  # pylint: disable=consider-using-with
        return self

    def __exit__(self, *_):
        self._hurry.clear()
        self._turn.release()

    def last(self, least_s, most_s):
        """A fault goes on for so long, or until somebody wants it to end."""
        self._hurry.wait(self.random.uniform(least_s, most_s))

    def last_until(self, condition, most_s):
        """Whether it came about in time."""
        deadline = time.monotonic() + most_s
        while not condition() and time.monotonic() < deadline and not self._hurry.wait(LOOK_S):
            continue
        return bool(condition())

    def _run(self):
        try:
            while not self._ending.wait(self.random.uniform(*PAUSE_S)):
                if not self._hurry.is_set():
                    with self._turn:
                        self._strike()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def _strike(self):
        if not self._round:
            self._round = list(self.kinds)
            self.random.shuffle(self._round)
        kind = self._round.pop()
        hit = getattr(self, kind)()
        self.counts[self._label(kind)] += hit
        self.scene.log.append(f"{time.strftime('%H:%M:%S')} {self._label(kind)}{'' if hit else ', hit nothing'}")

    def _label(self, kind):
        return f"{self._name} {kind}".replace("_", " ")
