"""Events lie in the partition of their month: made ahead by the pool, on demand by workers, or the DEFAULT one."""

from datetime import datetime, timezone

from winnow_test.poll import wait_until

WHERE = ("SELECT to_char(event_time, 'YYYY-MM-DD'), replace(tableoid::regclass::text, 'winnow.', '') FROM winnow.event "
         "ORDER BY 1")


def month_of(ahead, now=None):
    """(year, month) so many months after the present one."""
    now = now or datetime.now(timezone.utc)
    months = now.year * 12 + now.month - 1 + ahead
    return months // 12, months % 12 + 1


def name_of(ahead):
    return "event_y%04dm%02d" % month_of(ahead)


def event_on(ahead, day=15):
    year, month = month_of(ahead)
    return {"client": "c", "metric": "m", "amount": 1, "time": "%04d-%02d-%02d" % (year, month, day)}


def rows_where_they_belong(stage):
    """Where a month's partition could not be made at once its events go there later: when the pool looks again."""
    if "event=partition_later" in stage.logs():
        stage.database.run("SELECT winnow.ensure_event_month(month) FROM (SELECT DISTINCT date_trunc('month', event_time)::date "
                           "AS month FROM winnow.event_default) AS m")
    return stage.database.rows(WHERE)


def tables(stage):
    return {row[0] for row in stage.database.rows(
        "SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid "
        "WHERE inhparent = 'winnow.event'::regclass")}


def test_made_ahead_by_the_pool(stage):
    ahead = {name_of(month) for month in (0, 1, 2)}
    assert tables(stage) == {"event_default"}
    with stage.pool(workers=1):
        wait_until(lambda: tables(stage) == ahead | {"event_default"}, 30, "this month and the next two are there",
                   on_timeout=stage.logs)


def test_made_on_demand(stage):
    demanded = (-1, -7, -30, -100, -119)
    stage.send(*[event_on(ahead) for ahead in demanded])
    with stage.pool(workers=0):
        stage.wait_until_caught_up()
    assert tables(stage) != {"event_default"}, "none was made on demand"
    assert {row[1] for row in rows_where_they_belong(stage)} == {name_of(ahead) for ahead in demanded}
    assert tables(stage) == {name_of(ahead) for ahead in demanded} | {"event_default"}


def test_far_away_months_go_to_the_default_one(stage):
    near = (-3, 2)
    far = (-125, 6)
    stage.send(*[event_on(ahead) for ahead in near + far],
               {"client": "c", "metric": "m", "amount": 1, "time": "1970-01-01"},
               {"client": "c", "metric": "m", "amount": 1, "time": "2199-12-31T23:59:59.999999Z"})
    with stage.pool(workers=0):
        stage.wait_until_caught_up()
    stored = dict(rows_where_they_belong(stage))
    expected = {"%04d-%02d-15" % month_of(ahead): name_of(ahead) for ahead in near}
    expected.update({"%04d-%02d-15" % month_of(ahead): "event_default" for ahead in far})
    expected.update({"1970-01-01": "event_default", "2199-12-31": "event_default"})
    assert stored == expected


def test_by_two_workers_at_once(stage):
    """All of them meet the same new months at the same moment."""
    for partition in range(4):
        stage.send(*[{**event_on(-ahead, day), "amount": partition} for ahead in range(1, 25) for day in (1, 28)],
                   partition=partition)
    with stage.pool(workers=2) as workers:
        stage.wait_until_caught_up()
        assert "level=error" not in workers.log_text()
    assert {row[1] for row in rows_where_they_belong(stage)} == {name_of(-ahead) for ahead in range(1, 25)}


def test_an_event_that_was_in_the_default_one_stays_unique(stage):
    """Its month comes within reach later; sent again, it is a duplicate still."""
    event = event_on(-2)
    stage.send(event, partition=0)
    year, month = month_of(-2)
    stage.database.run("CREATE FUNCTION winnow.away(date) RETURNS boolean LANGUAGE sql AS 'SELECT false'")
    stage.database.run("ALTER FUNCTION winnow.ensure_event_month(date) RENAME TO later")
    stage.database.run("ALTER FUNCTION winnow.away(date) RENAME TO ensure_event_month")
    with stage.pool(workers=0):
        stage.wait_until_caught_up()
    assert [row[1] for row in stage.database.rows(WHERE)] == ["event_default"]
    stage.database.run("DROP FUNCTION winnow.ensure_event_month(date)")
    stage.database.run("ALTER FUNCTION winnow.later(date) RENAME TO ensure_event_month")
    stage.send(event, partition=1)
    with stage.pool(workers=0):
        stage.wait_until_caught_up()
    assert rows_where_they_belong(stage) == [("%04d-%02d-15" % (year, month), name_of(-2))]
