"""A worker needs no more than 64 MiB for a backlog of messages of 1 MiB, good ones and poison, from eight partitions.

Measured and not imposed: looked at is the most that it ever had in memory, its program's and libraries' pages included,
which is what a container's limit counts, and a little more. A limit set on the process itself (RLIMIT_DATA, RLIMIT_AS)
would count what is only reserved, stacks of threads above all."""

from pathlib import Path

from scenario import new_events
from winnow_test import letters
from winnow_test.produce import Message

MIB = 1 << 20
LIMIT = 64 * MIB
PARTITIONS = 8
MESSAGES = 300
POISON_EVERY = 3


def big_messages():
    """Each of exactly 1 MiB, which is the longest that is read."""
    good = new_events(1)[0]
    messages = []
    for number in range(MESSAGES):
        head = good if number % POISON_EVERY else '{"client":"client_L","metric":"load","amount":"none"}'
        head = head.replace('"amount":', f'"number":{number},"amount":').replace("client_L", f"client_{number}")
        messages.append(head[:-1] + ',"note":"' + "x" * (MIB - len(head) - 10) + '"}')
        assert len(messages[-1]) == MIB
    return messages


def peak_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_a_backlog_of_large_messages_takes_64_mib_at_most(make_stage):
    config = {"max.message.bytes": str(2 * MIB)}
    stage = make_stage(partitions=PARTITIONS, config=config)
    stage.broker.alter_topic(f"{stage.topic}.dlq", config)
    stage.send(*[Message(message.encode(), partition=number % PARTITIONS)
                 for number, message in enumerate(big_messages())])
    with stage.pool(workers=1) as pool:
        pids = pool.wait_for_workers(1)
        stage.wait_until_caught_up(timeout_s=120)
        letters.wait_until_published(stage.database, on_timeout=stage.logs)
        peak = peak_bytes(pids[0])
        print(f"peak {peak / MIB:.0f} MiB of 64")
        assert pool.worker_pids() == pids, pool.log_tail()
        assert peak < LIMIT
        assert pool.stop() == 0
    assert len(stage.dead()) == MESSAGES // POISON_EVERY
