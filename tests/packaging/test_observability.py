"""The alerts, the dashboard and the manual name series that a pool has, and Prometheus takes the rules."""

import json
import re
import shutil
import subprocess

import pytest
from winnow_test import metrics
from winnow_test.pool import Pool
from winnow_test.process import ROOT

PROMETHEUS = ROOT / "worker" / "packaging" / "prometheus"
DASHBOARD = ROOT / "worker" / "packaging" / "grafana" / "winnow.json"
NAME = re.compile(r"\b(?:winnow|process)_[a-z_]+\b")
SUFFIXES = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def families():
    """name → (type, help), of a pool that has met no server: the families do not depend on what it met."""
    settings = {"brokers": "127.0.0.1:1", "topic": "t", "database": "host=127.0.0.1 port=1", **metrics.LISTEN}
    with Pool(settings, workers=1) as pool:
        text = metrics.get(metrics.url(pool, "/metrics"))[2]
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    assert types.keys() == helps.keys() and len(types) > 30
    return types


def promtool(*arguments):
    done = subprocess.run([shutil.which("promtool"), *arguments], capture_output=True, text=True, cwd=PROMETHEUS, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unknown(text, families):
    """Names of series in a text that no pool tells."""
    known = set(families) | {name + suffix for name, kind in families.items() if kind == "histogram" for suffix in SUFFIXES}
    return set(NAME.findall(text)) - known


def expressions(thing):
    """Every "expr" and query below."""
    if isinstance(thing, dict):
        for name, value in thing.items():
            if name in ("expr", "query") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from expressions(value)


def test_rules():
    promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", "winnow.rules.yml")
    promtool("test", "rules", "winnow.rules_test.yml")


def test_every_alert_is_tried_and_says_what_to_do(families):
    text = (PROMETHEUS / "winnow.rules.yml").read_text()
    tried = (PROMETHEUS / "winnow.rules_test.yml").read_text()
    assert not unknown(text, families)
    alerts = re.split(r"^      - alert: ", text, flags=re.MULTILINE)[1:]
    assert len(alerts) > 10
    for alert in alerts:
        name = alert.split("\n", 1)[0]
        assert f'alertname="{name}"' in tried, f"no test fires {name}"
        for field in ("severity", "summary", "description", "runbook"):
            assert re.search(rf"^ +{field}: *(>-\n +)?\S", alert, re.MULTILINE), f"{name} has no {field}"


def test_dashboard(families):
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert dashboard["uid"] and dashboard["title"] and len({panel["id"] for panel in panels}) == len(panels)
    cells = [(x, y) for panel in panels for place in [panel["gridPos"]]
             for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) == 23, "panels overlap, or leave the page"
    for panel in panels:
        assert panel["title"] and panel["description"] and panel["targets"], panel["title"]
    used = list(expressions(dashboard))
    assert len(used) > 20
    for expression in used:
        assert not unknown(expression, families), expression
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]+)\}?", json.dumps(used))) <= variables


def test_dashboards_expressions_are_promql(tmp_path):
    """Each as a recording rule, with the variables filled in: only then promtool reads it."""
    rules = [expression for expression in expressions(json.loads(DASHBOARD.read_text()))
             if expression != "prometheus" and not expression.startswith("label_values")]
    lines = ["groups:", "- name: panels", "  rules:"]
    for number, expression in enumerate(rules):
        filled = re.sub(r"\$(?:__rate_interval)", "1m", expression)
        lines += [f"  - record: panel:{number}", f"    expr: {json.dumps(re.sub(r'[$][a-z]+', 'x', filled))}"]
    file = tmp_path / "panels.yml"
    file.write_text("\n".join(lines) + "\n")
    promtool("check", "rules", str(file))


def test_manual_lists_every_series(families):
    text = (ROOT / "worker" / "OPERATIONS.md").read_text(encoding="utf-8")
    manual = text[text.index("## Metrics and health"):]
    manual = manual[:manual.index("\n## ", 10)]
    told = set(re.findall(r"`(winnow_[a-z_]+)`", manual))
    assert told == {name for name in families if name.startswith("winnow_")}
