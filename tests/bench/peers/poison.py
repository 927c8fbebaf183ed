"""Two messages that are no events, among many that are: what each contender makes of it in a bounded time."""

import itertools
import re
import time

import confluent_kafka

import servers
import table
from contender import Job, Running
from trial import Watch

LIMIT_S = 90
QUIET_S = 12     # nothing new for so long, and it is over; longer than consumers take to take over from one that died
RESTARTS_MAX = 2  # of each process, as a supervisor would
SAMPLE_S = 0.1
CAUSE = re.compile(r"Caused by: (.*)|.*\bERROR\b(.*)")

_numbers = itertools.count(1)


def numbers(events):
    """Which messages are replaced: in the first and in the third quarter, of different partitions."""
    return (events // 4 + 1, events * 3 // 4 + 4)


def _committed(broker, topic, group):
    """partition → offset that the group has committed; 0 where it has none."""
    reader = confluent_kafka.Consumer({"bootstrap.servers": broker.brokers, "group.id": group, "log_level": 0})
    try:
        places = [confluent_kafka.TopicPartition(topic, partition) for partition in range(servers.PARTITIONS)]
        return {place.partition: max(0, place.offset) for place in reader.committed(places, timeout=10)}
    finally:
        reader.close()


def _let_it_try(database, running, wanted_rows):
    """Until the table is full or stands still; a process that ends is started again, a few times."""
    watch = Watch(database, wanted_rows)
    deadline = time.monotonic() + LIMIT_S
    allowed = RESTARTS_MAX * len(running.pids())
    while time.monotonic() < deadline:
        if watch.is_full():
            break
        if not running.is_running() and running.restarts < allowed:
            running.start_ended()
        has_begun = table.bytes_used(database) > 0 or not running.is_running()
        if has_begun and watch.quiet_s() > QUIET_S:
            break
        time.sleep(SAMPLE_S)


def _kept(contender, database):
    """Poison that was kept for someone to look at."""
    return database.value("SELECT count(*) FROM winnow.dead_letter") if contender.name == "winnow" else 0


def _passed(contender, job, broker, database):
    """partition → the offset behind all that the contender regards as done."""
    if contender.name == "winnow":
        return dict(database.rows("SELECT partition, next_offset FROM winnow.processing_log"))
    return _committed(broker, job.topic, contender.group_of(job))


def _complaint(running):
    """The last cause that its log names; without any, the last line."""
    lines = [line.strip() for line in running.log_text().splitlines() if line.strip()]
    causes = [found for found in map(CAUSE.match, lines) if found]
    if causes:
        return (causes[-1].group(1) or causes[-1].group(2))[:200]
    return lines[-1][:200] if lines else ""


def _account(stage, database, passed):
    """Of the events: stored, lost (passed over and not stored), waiting (not reached). Of the poison: passed over."""
    places = stage.feed.places()
    stored = table.hashes(database)
    missing = [(partition, offset) for (partition, offset), event in places.items() if event not in stored]
    lost = sum(offset < passed.get(partition, 0) for partition, offset in missing)
    over = sum(offset < passed.get(partition, 0) for partition, offset in stage.feed.poison_places())
    return {"stored": len(stored), "of": stage.expected[0], "lost": lost, "waiting": len(missing) - lost,
            "poison_passed": over}


def run(contender, stage):
    """From a fresh group and database, until all is stored or nothing happens any more: a dict."""
    name = f"poison{next(_numbers)}"
    with servers.fresh_database(stage.server, name) as database:
        table.prepare(database)
        job = Job(stage.server, stage.broker, database, stage.topics[contender.form], name)
        with Running(contender, job) as running:
            _let_it_try(database, running, stage.expected[0])
            ended, restarts, complaint = not running.is_running(), running.restarts, _complaint(running)
        passed = _passed(contender, job, stage.broker, database)
        account = _account(stage, database, passed)
        return {"contender": contender.name, "title": contender.title, **account, "kept": _kept(contender, database),
                "ended": ended, "restarts": restarts, "complaint": complaint}
