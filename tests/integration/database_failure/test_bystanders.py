"""Others in the database: a long report must not stop the workers, a constraint that refuses everything must not drain
the topic, and whoever only looks needs no more than that."""

from psycopg2 import connect

from scenario import new_events


def test_a_long_report_does_not_hold_up_a_new_month(stage):
    database = stage.database
    report = connect(database.dsn)
    try:
        with report.cursor() as cursor:
            cursor.execute("BEGIN; SELECT count(*) FROM winnow.event")
        stage.send('{"client":"late","metric":"m","amount":1,"time":"2019-05-06"}', *new_events(20))
        with stage.pool(workers=1) as pool:
            stage.wait_until_caught_up(timeout_s=30)
            assert "event=partition_later" in pool.log_text()
        assert database.value("SELECT count(*) FROM winnow.event_default WHERE client_id = 'late'") == 1
    finally:
        report.close()
    assert database.value("SELECT winnow.ensure_event_month('2019-05-01')")
    assert database.value("SELECT count(*) FROM winnow.event_y2019m05") == 1
    assert database.value("SELECT count(*) FROM winnow.event_default WHERE client_id = 'late'") == 0


def test_a_constraint_that_refuses_everything_trips_the_breaker(stage):
    stage.allowed_reasons = ("database_rejected",)
    stage.exact = False
    stage.database.run("ALTER TABLE winnow.event ADD CONSTRAINT none CHECK (amount < 0) NOT VALID")
    stage.send(*new_events(300), partition=0)
    with stage.pool(workers=1) as pool:
        pool.wait_for_log("event=partition_halted")
    assert stage.database.value("SELECT halt_reason FROM winnow.processing_log WHERE partition = 0") == "circuit_breaker"
    assert stage.database.value("SELECT count(*) FROM winnow.dead_letter") <= 101


def test_status_asks_for_no_more_than_reading(stage):
    stage.send(*new_events(5))
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    database = stage.database
    for role in ("winnow_analyst", "winnow_operator", "winnow_worker"):
        user = f"looks_{role}_{database.name}"
        database.run(f'CREATE ROLE "{user}" LOGIN IN ROLE {role}')
        try:
            if role == "winnow_analyst":
                database.run(f'ALTER ROLE "{user}" SET default_transaction_read_only = on')
            done = stage.winnow("status", database=database.server.dsn(database.name, user))
            assert done.exit_code == 0, done
            assert "omplete" in done.out
        finally:
            database.run(f'DROP ROLE "{user}"')


def test_opening_a_session_uses_no_number_of_the_stream(stage):
    stage.send(*new_events(1))
    for _ in range(3):
        with stage.pool(workers=0):
            stage.wait_until_caught_up()
    assert stage.database.value("SELECT last_value FROM winnow.stream_stream_id_seq") == 1
