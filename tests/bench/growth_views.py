"""What a database has come to in size, and how long its views take."""

import statistics
import time

from winnow_test import pool
from winnow_test.poll import comes_about

ASKED = 5       # times, after once for warmth
QUIET_S = 180

# Name → what is asked; the live workload's first day is the one with most rows.
VIEWS = {
    "totals_by_client": "TABLE analytics.totals_by_client",
    "totals_by_metric": "TABLE analytics.totals_by_metric",
    "totals_by_client_metric": "TABLE analytics.totals_by_client_metric",
    "hours of one day": "SELECT * FROM analytics.totals_by_client_metric_hour "
                        "WHERE hour >= '2024-06-15T00:00Z' AND hour < '2024-06-16T00:00Z'",
    "completeness": "TABLE analytics.completeness",
    "processing_status": "TABLE analytics.processing_status",
}


def sizes(database):
    """Bytes of the events and their key, and how many rows the other growing tables have."""
    table, key = database.rows(
        "SELECT sum(pg_table_size(relid))::bigint, sum(pg_indexes_size(relid))::bigint "
        "FROM pg_partition_tree('winnow.event') WHERE isleaf")[0]
    return {"table_bytes": table, "key_bytes": key,
            "rollup_rows": database.value("SELECT count(*) FROM winnow.rollup_hour"),
            "batch_rows": database.value("SELECT count(*) FROM winnow.batch_log")}


def wait_until_quiet(database):
    """Until autovacuum rests, or for three minutes."""
    comes_about(lambda: database.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'") == 0,
                QUIET_S)


def _median_ms(ask):
    ask()
    taken = []
    for _ in range(ASKED):
        begun = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(taken), 1)


def times(database, configuration):
    """Medians in ms: of the views with all rows fetched, of `winnow status` as a process from its start to its end."""
    found = {name: _median_ms(lambda question=question: database.rows(question)) for name, question in VIEWS.items()}
    found["winnow status"] = _median_ms(lambda: pool.run("status", settings=configuration, check=True))
    return found
