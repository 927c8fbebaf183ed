"""Servers of the story's own, which no other test needs."""

import pytest

from winnow_test import pool


@pytest.fixture
def move_to(stage):
    """Gives the stage a database of another server; checks it before that server goes."""

    def move(server, database=None):
        stage.database = database or server.new_database()
        stage.settings["database"] = stage.database.dsn
        pool.run("migrate", settings=stage.settings, check=True)
        return stage

    return move
