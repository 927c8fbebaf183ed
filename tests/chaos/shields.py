"""What keeps an event single: the fence, the unique key of events, and those of the account: of batches and of dead
letters. Each hides what the others let through, so runs go without some of them."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from winnow_test.process import ROOT

ALL = "all"
NO_UNIQUE = "no-unique"     # the fence alone; nothing may be sent twice then
NO_FENCE = "no-fence"       # the key of events alone; events and totals are exact, the account of offsets is not
SHIELDS = (ALL, NO_UNIQUE, NO_FENCE)

PATCH = Path(__file__).with_name("no_fence.patch")
PARTS = ("Makefile", "common", "include", "migrations", "worker")
BUILT = ("obj", "generated", "page", "libcommon.a", "flags", "sources", "migrations.c", "documents.c", "tests.mk")


def binary_without_fence():
    """Builds a copy of the program with the fence taken out; its path. Others who want it meanwhile wait."""
    with open(ROOT / "build" / "no_fence.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build_without_fence(ROOT / "build" / "no_fence", ROOT / "build" / "no_fence.new")


def _build_without_fence(copy, fresh):
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for part in PARTS:
        _copy(ROOT / part, fresh / part)
    subprocess.run(["patch", "-p1", "--quiet", "-i", PATCH], cwd=fresh, check=True)
    if not copy.exists():
        for part in BUILT:
            _copy(ROOT / "build" / part, copy / "build" / part)
    _take_over(fresh, copy)
    shutil.rmtree(fresh)
    subprocess.run(["make", f"-j{os.cpu_count()}", "build/winnow"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
    return copy / "build" / "winnow"


def _copy(source, target):
    """With the times of change, on which make relies; what is not there is left out."""
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _take_over(fresh, copy):
    """Writes only what is different, so that make builds only that."""
    wanted = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    for part in PARTS:
        for path in (copy / part).rglob("*"):
            if path.is_file() and path.relative_to(copy) not in wanted:
                path.unlink()
    for name in wanted:
        target = copy / name
        if target.exists() and target.read_bytes() == (fresh / name).read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(fresh / name, target)


def drop_unique_keys(database):
    """The fence stands alone: nothing else refuses a batch that another one overlaps."""
    database.run("ALTER TABLE winnow.event DROP CONSTRAINT event_pkey")
    drop_keys_of_the_account(database)


def drop_keys_of_the_account(database):
    """The key of events stands alone, once the fence is gone too. The account of batches then has holes and overlaps,
    and a message can have two dead letters."""
    database.run("ALTER TABLE winnow.batch_log DROP CONSTRAINT batch_log_stream_id_partition_start_offset_key")
    database.run("ALTER TABLE winnow.dead_letter DROP CONSTRAINT dead_letter_pkey CASCADE; "
                 "CREATE INDEX ON winnow.dead_letter (stream_id, partition, message_offset)")


def overlap_count(database):
    """Batches of which another one had an offset already: what a fence would have kept out."""
    return database.value(
        "SELECT count(*) FROM (SELECT start_offset, max(end_offset) OVER (PARTITION BY stream_id, partition "
        "ORDER BY start_offset, end_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before "
        "FROM winnow.batch_log) AS b WHERE start_offset < before")
