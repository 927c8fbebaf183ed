"""An asynchronous standby that missed the last commits is promoted. The offsets in Kafka and what the workers remember
are ahead of the database then; the database is what counts, and the pool goes back with it."""

import pytest

from scenario import committed, new_events, wait_for_owners, wait_until_committed
from winnow_test import check, letters
from winnow_test.postgres import Database, Postgres
from winnow_test.standby import Standby

POISON = '{"client":"nobody","note":%d}'
OTHER_MONTH = '{"client":"client_M","metric":"load","amount":%d,"time":"2023-07-%02d"}'


def either_dsn(name, *servers):
    """Whichever of them takes writes: winnow asks libpq for that by itself."""
    return (f"host={','.join(str(server.socket_directory) for server in servers)} "
            f"port={','.join(str(server.port) for server in servers)} dbname={name} user=postgres")


def send_all_sorts(stage, count):
    """Also to a month that has no partition yet, and what becomes dead letters."""
    for partition in range(stage.partitions):
        stage.send(*new_events(count), POISON % count, *[OTHER_MONTH % (count, 1 + partition)], *new_events(3),
                   partition=partition)


@pytest.mark.parametrize("pool_stays", [True, False], ids=["the pool stays", "a new pool"])
def test_a_standby_that_missed_the_last_commits(stage, move_to, pool_stays):
    with Postgres() as primary:
        move_to(primary)
        name = stage.database.name
        with Standby(primary) as standby, Database(standby, name) as promoted:
            stage.settings["database"] = either_dsn(name, primary, standby)
            with stage.pool(workers=2) as pool:
                pids = pool.wait_for_workers(2)
                wait_for_owners(stage, pids)
                stage.send(*new_events(200))
                stage.wait_until_caught_up()
                standby.wait_until_level()
                standby.lose_primary()
                before = check.cursors(promoted, stage.topic)
                send_all_sorts(stage, 300)
                stage.wait_until_caught_up()
                wait_until_committed(stage)
                ahead = check.cursors(stage.database, stage.topic)
                if not pool_stays:
                    assert pool.stop() == 0
                primary.kill()
                assert all(before[partition] < ahead[partition] == committed(stage)[partition] for partition in ahead)
                standby.promote()
                stage.database.close()
                stage.database = promoted
                if not pool_stays:
                    pool.start()
                stage.wait_until_caught_up()
                stage.send(*new_events(100))
                stage.wait_until_caught_up()
                if pool_stays:
                    assert set(pool.worker_pids()) == set(pids)
                letters.wait_until_published(promoted, on_timeout=stage.logs)
                assert pool.stop() == 0
            assert len(stage.events()) == len(stage.sent) - stage.partitions
            assert len(stage.dead()) == stage.partitions
            stage.check_end()
