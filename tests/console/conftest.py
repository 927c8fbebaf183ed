"""The console between the development broker (or Apache Kafka) and a private PostgreSQL."""

import pytest

from winnow_test.console import Console
from winnow_test.devbroker import DevBroker


@pytest.fixture(scope="session")
def devbroker_of_run():
    """One for all tests that need no more of Kafka than its protocol; each takes a topic of its own."""
    with DevBroker() as broker:
        yield broker


@pytest.fixture
def stage(make_stage, devbroker_of_run):
    """Four partitions on the development broker, and a database."""
    return make_stage(broker=devbroker_of_run)


@pytest.fixture
def real_stage(make_stage):
    """The same on Apache Kafka."""
    return make_stage()


@pytest.fixture
def make_console():
    """Makes consoles: make_console(stage, "--read-only", allow_fault_injection="yes")."""
    made = []

    def make(stage, *arguments, **settings):
        made.append(Console({**stage.settings, **settings}, arguments))
        made[-1].start()
        return made[-1]

    yield make
    for console in made:
        print(console.log_text()[-4000:])
        console.close()


@pytest.fixture
def console(stage, make_console):
    """A console on the stage."""
    return make_console(stage)
