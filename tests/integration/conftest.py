"""Every scenario ends with the invariants I1..I8 and the comparison with the topic: done here, so that no test can
forget it. A folder is a story, a test one line of it."""

import pytest

from winnow_test import check


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call":
        item.broke_off = report.failed


@pytest.fixture
def make_stage(request, make_stage):
    """The stages of tests/conftest.py. At the end their pools are stopped and what is stored is checked:
    stage.allowed_reasons: dead letters that the messages alone do not explain;
    stage.exact = False: only the invariants, for a story that does not end with everything read; so does one that failed."""
    stages = []

    def make(**options):
        stage = make_stage(**options)
        stage.allowed_reasons = ()
        stage.exact = True
        stage.checked = False
        stage.check_end = lambda: check_end(stage, getattr(request.node, "broke_off", False))
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        stage.check_end()


def check_end(stage, broke_off):
    """Also for a story with a server of its own, which has to be asked before that is gone. Once is enough."""
    if stage.checked:
        return
    stage.checked = True
    for pool in stage.pools:
        if pool.process is not None:
            pool.stop()
    stage.database.server.start()
    stage.broker.start()
    check.assert_no_violation(stage.database)
    if stage.exact and not broke_off:
        stage.assert_exact(stage.allowed_reasons)


@pytest.fixture
def stage(make_stage):
    """Four partitions, a dead-letter topic, a database."""
    return make_stage()
