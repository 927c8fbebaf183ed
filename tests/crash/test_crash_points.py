"""Crash points: for one batch in flight, a worker ends at each socket call of its database connection and at each
step of the ring, in every way; another worker finishes, and the result is exact.

Which points there are is not written down: in each scene a worker first passes all of them, and tells. To play some
again: CRASH_POINTS_CHOSEN='batch: socket:3:.* stop', a regular expression."""

import itertools
import os
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from databases import Databases
from play import Play, Point, World
from scenes import PARTITIONS, batch_messages, earlier_messages, make_scenes

from winnow_test import check, produce, shim

WAYS = ("kill", "stop", "reset")
# The publisher is a thread with connections of its own; what it left is taken up by another after the lease.
OF_PUBLISHER = ("lease", "produce", "deliver", "mark", "again")
# What the points of a whole run must be of, so that none goes missing without a word; those not of these steps are
# of none.
NAMES = {"claim", "open", "halt", "write", "socket", "assign", "seek", "message", "commit", "leave", "exit", *OF_PUBLISHER}
POINTS_AT_LEAST = 250
AT_ONCE = 14
CHOSEN = re.compile(os.environ.get("CRASH_POINTS_CHOSEN", ""))


@pytest.fixture(scope="module")
def world(kafka_of_run, postgres_of_run, tmp_path_factory):
    """A topic that holds all messages, read by every play in a group and a database of its own."""
    directory = tmp_path_factory.mktemp("crash")
    library = shim.build(directory, "crash_point_shim")
    broker = kafka_of_run
    topic = f"crash-{os.getpid()}"
    broker.create_topic(topic, PARTITIONS)
    sent = []
    for partition in range(PARTITIONS):
        sent += produce.send(broker.brokers, topic, earlier_messages()[partition::PARTITIONS], partition=partition)
    databases = Databases(postgres_of_run, broker, topic, "migrated", AT_ONCE)
    sent += produce.send(broker.brokers, topic, batch_messages())
    messages = broker.read_topic(topic)
    yield World(databases, broker, topic, broker.end_offsets(topic), messages, sent, check.expect(messages), library,
                directory)
    databases.close()


class Campaign:
    """All plays, several at a time."""

    points = ()

    def __init__(self, world):
        self.world = world
        self.numbers = itertools.count(1)
        self.plays = {}
        self.failures = {}
        self.began = time.monotonic()

    def _play(self, point):
        play = self.plays[point]
        try:
            return play.run()
        except Exception as error:  # pylint: disable=broad-except
            self.failures[point] = error
            return []

    def play(self, points):
        """The points passed in each play, in the order given."""
        plays = {point: Play(self.world, point, next(self.numbers)) for point in points}
        self.world.broker.create_topics([play.dead_letter_topic for play in plays.values()])
        self.plays.update(plays)
        with ThreadPoolExecutor(AT_ONCE) as executor:
            return list(executor.map(self._play, points))

    def find_points(self, scenes):
        """Every point of every scene in every way, as a worker that passes them all tells."""
        passed = self.play([Point(scene, "none:0:before", "none") for scene in scenes])
        points = []
        # The last scene's plays take longest: they begin.
        for scene, trace in reversed(list(zip(scenes, passed))):
            places = list(dict.fromkeys(place for place in trace if scene.keeps(place)))
            points += [Point(scene, place, way) for place in places
                       for way in (WAYS[:1] if place.split(":")[0] in OF_PUBLISHER else WAYS)]
        return [point for point in points if CHOSEN.search(str(point))]


@pytest.fixture(scope="module")
def campaign(world):
    scenes = make_scenes(len(earlier_messages()), len(batch_messages()))
    made = Campaign(world)
    made.points = made.find_points(scenes)
    if made.points and not made.failures:
        made.play(made.points)
    return made


def test_every_point_is_visited(campaign, capsys):
    visited = [point for point in campaign.points if campaign.plays[point].is_visited()]
    fenced = sum(play.fenced_count() for play in campaign.plays.values())
    by_way = Counter(point.way for point in campaign.points)
    by_name = Counter(f"{point.scene.name}/{point.place.split(':')[0]}" for point in campaign.points)
    with capsys.disabled():
        print(f"\n{len(campaign.points)} points, {len(visited)} visited; {dict(by_way)}; {dict(by_name)}; "
              f"fenced={fenced}; {time.monotonic() - campaign.began:.1f} s")
    assert len(visited) == len(campaign.points) > 0
    if not CHOSEN.pattern:
        assert {point.place.split(":")[0] for point in campaign.points} == NAMES
        assert len(campaign.points) >= POINTS_AT_LEAST
    # A worker that was frozen with its statement in hand must have been kept out.
    assert fenced > 0 or not any(point.way == "stop" and point.place.startswith("write:1") for point in campaign.points)


def test_another_worker_finishes_and_all_is_exact(campaign):
    told = [f"==== {point}\n{type(error).__name__}: {error}" for point, error in campaign.failures.items()]
    assert not told, f"{len(told)} of {len(campaign.plays)} plays failed\n" + "\n".join(told[:5])
