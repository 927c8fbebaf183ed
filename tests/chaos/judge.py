"""The database against the topic, and against what the producers were told."""

import re

import shields
from stream import count_sent_twice
from winnow_test import check, letters

READ_TIMEOUT_S = 120
# What must have happened in a long run, or the run proves nothing.
PROOFS = {
    shields.ALL: ("fenced", "resynced", "gaps", "stale"),
    shields.NO_UNIQUE: ("fenced", "resynced", "gaps", "stale"),
    shields.NO_FENCE: ("resynced", "gaps", "stale"),
}


def judge(account, scene, producers):
    """Fills the account's findings."""
    messages = scene.broker.read_topic(scene.topic, READ_TIMEOUT_S)
    account.sent_twice_count = count_sent_twice(messages)
    _judge_producers(account, scene, messages)
    if account.shield == shields.NO_FENCE:
        _judge_events(account, scene, messages, producers.acknowledged)
    else:
        _judge_all(account, scene, messages, producers.acknowledged)


def _judge_producers(account, scene, messages):
    last = {message.partition(): message for message in messages}
    if len(last) != scene.places.count or any(message.key() != b"poison" for message in last.values()):
        account.wrong.append("a partition does not end with poison: the producer is wrong")


def _take_over(account, findings):
    account.wrong += findings.lines
    account.lost += findings.lost
    account.double += findings.double


def _judge_all(account, scene, messages, acknowledged):
    database = scene.database
    _take_over(account, check.find(database, messages, acknowledged))
    copies = scene.dead_letter_topic.published()
    account.letter_count = database.value("SELECT count(*) FROM winnow.dead_letter")
    account.copy_count = sum(map(len, copies.values()))
    account.wrong += letters.differences(database, messages)[:5]
    account.wrong += letters.copy_differences(database, scene.topic, copies)[:5]
    sent = database.value("SELECT sum(received) FROM winnow.batch_log")
    if sent != len(messages):
        account.wrong.append(f"{sent} messages accounted for, {len(messages)} in the topic")
    account.notes.append("duplicate  %s of %s events" % database.rows(
        "SELECT sum(duplicate), sum(stored + duplicate) FROM winnow.batch_log")[0])


def _judge_events(account, scene, messages, acknowledged):
    """Without the fence only events, totals, and that no poison is missing."""
    _take_over(account, check.find_events(scene.database, messages, acknowledged))
    account.letter_count = scene.database.value("SELECT count(*) FROM winnow.dead_letter")
    account.overlap_count = shields.overlap_count(scene.database)
    account.notes.append(f"overlap    {account.overlap_count} batches that the fence would have kept out")


def demand_no_refusal(account, log):
    """A batch that a unique key refuses has come past the fence, and would then leave no trace in the account."""
    account.wrong += re.findall(r"event=operator_needed .*SQLSTATE 23505.*", log)[:5]


def demand_proof(account):
    """A long run in which a shield was never needed proves nothing about it."""
    missing = [name for name in PROOFS[account.shield] if account.counters[name] == 0]
    if account.shield == shields.NO_FENCE and account.overlap_count == 0:
        missing.append("overlapping batches")
    if account.shield != shields.NO_UNIQUE and account.sent_twice_count == 0:
        missing.append("messages doubled by a producer's retry")
    if account.committed_count == 0 or account.aborted_count == 0:
        missing.append("committed and aborted transactions")
    if missing:
        account.wrong.append(f"it proves nothing: no {', no '.join(missing)}")
