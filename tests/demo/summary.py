"""The end of the demo: what was sent against what is stored, and what to try next."""

import textwrap

from winnow_test import check
from winnow_test.poll import wait_until

EXAMPLE_WIDTH = 76
PUBLISH_S = 30


def _sent_against_stored(screen, demo, stream, acknowledged):
    read, stored, duplicate, dead = demo.counters()
    rows = []
    for name, sent, where, found in (("unique events", stream.unique, "stored", stored),
                                     ("sent again", stream.repeated, "duplicate", duplicate),
                                     ("broken", stream.poison, "dead letters", dead),
                                     ("all", len(acknowledged), "read", read)):
        rows.append((name, sent, where, found, "equal" if sent == found else f"{found - sent:+,}"))
    screen.title("What was sent, and what became of it")
    screen.table(("sent", "messages", "in PostgreSQL", "rows", ""), rows)
    return all(row[1] == row[3] for row in rows)


def _totals(screen, demo):
    rows = demo.database.rows(
        "SELECT client_id, metric, event_count, amount_sum FROM analytics.totals_by_client_metric ORDER BY 1, 2")
    by_client = {}
    for client, metric, count, total in rows:
        by_client.setdefault(client, {})[metric] = (count, total)
    metrics = sorted({row[1] for row in rows})
    screen.title("Totals by client and metric   (analytics.totals_by_client_metric)")
    table = []
    for client, found in by_client.items():
        sums = [found.get(metric, (0, 0)) for metric in metrics]
        table.append((client, sum(count for count, _ in sums), *(f"{total:,.2f}" for _, total in sums)))
    screen.table(("client", "events", *metrics), table)


def _dead_letters(screen, demo):
    screen.title("Dead letters by reason   (analytics.failed_events)")
    rows = demo.database.rows(
        "SELECT reason, count(*), (array_agg(detail ORDER BY partition, message_offset))[1] "
        "FROM analytics.failed_events GROUP BY reason ORDER BY 2 DESC, 1")
    screen.table(("reason", "messages", "for example"),
                 [(reason, count, textwrap.shorten(detail, EXAMPLE_WIDTH, placeholder=" …"))
                  for reason, count, detail in rows])
    published = "SELECT count(*) FILTER (WHERE published_at IS NULL) = 0, count(*) FROM winnow.dead_letter"
    wait_until(lambda: demo.database.value(published), PUBLISH_S, "all dead letters are published",
               on_timeout=demo.pool.log_tail)
    in_topic = sum(demo.broker.end_offsets("events.dlq").values())
    screen.line(f"  in the topic events.dlq too, with headers that say why: {in_topic:,} messages")


def _verdict(screen, demo, acknowledged):
    findings = check.find(demo.database, demo.broker.read_topic("events"), acknowledged)
    complete, sentence = demo.database.rows("SELECT complete, sentence FROM analytics.completeness_verdict")[0]
    paint = screen.good if complete else screen.bad
    screen.title("Verdict")
    for accident in demo.accidents:
        screen.line(f"  in spite of    {accident}")
    screen.line(f"  the database   {paint(sentence)}")
    is_exact = not findings.lines
    paint = screen.good if is_exact else screen.bad
    screen.line(f"  against Kafka  {paint(f'lost {findings.lost}, double {findings.double}')}"
                f" of {len(acknowledged):,} messages that the broker acknowledged")
    for line in findings.lines:
        screen.line(screen.bad(f"    {line}"))
    return is_exact and complete


def show(screen, demo, stream, acknowledged):
    """Prints the summary; True when everything is accounted for."""
    is_equal = _sent_against_stored(screen, demo, stream, acknowledged)
    _totals(screen, demo)
    _dead_letters(screen, demo)
    return _verdict(screen, demo, acknowledged) and is_equal


def show_next(screen):
    screen.title("What to try next")
    screen.line("  make demo KEEP=1        leaves it running, to look around in the console and with psql")
    screen.line("  make demo KAFKA=real    the same on Apache Kafka")
    screen.line("""  build/winnow explain '{"source":"me","payload":{"metric":"sale","amount":"12,50"}}'""")
    screen.line("                          why an event is taken, or not")
    screen.line("  README.md               to run it on your own Kafka and PostgreSQL")


def show_around(screen, demo, keeper_pid):
    options = f"-b {demo.broker.brokers} -t {demo.settings['topic']}"
    screen.title("It goes on running. Look around:")
    screen.line(f"  {demo.server.psql(demo.database.name)}")
    screen.line("      TABLE analytics.totals_by_client;   TABLE analytics.processing_status;   \\dv analytics.*")
    screen.line(f"  build/winnow status {options} -d '{demo.database.dsn}'")
    screen.line(f"""  build/winnow submit {options} '{{"source":"me","payload":{{"metric":"sale","amount":"12.50"}}}}'""")
    screen.line(f"  tail -f {demo.pool.log_path}")
    screen.line("Stop it, and remove all of it:")
    screen.line(f"  kill {keeper_pid}")
    screen.line(f"The console, in a browser:  {screen.bold(demo.console.address + '/')}")
