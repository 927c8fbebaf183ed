"""Each fault in turn: what winnow doctor says of it, and that its mend, carried out as it is printed, mends it."""

import json
import re
import signal
import socket
import subprocess
import time

import pytest
from winnow_test import pool, shim
from winnow_test.devbroker import DevBroker
from winnow_test.poll import wait_until
from winnow_test.process import ROOT

from clinic import groups


def test_all_is_well(patient):
    report = patient.doctor()
    assert report.bad() == [] and report.exit_code == 0 and report.error == ""
    assert [name for name, check in report.checks.items() if check["verdict"] == "skip"] == ["disk"]
    assert report.whole["failed"] == 0 and report.whole["ok"] == len(report.checks) - 1


def wait_until_counted(patient):
    """A session's counts are there when it has ended, which the server does on its own."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    wait_until(lambda: patient.database.value(others) == 0, 60, "the other sessions have ended")
    patient.database.run("SELECT pg_stat_clear_snapshot()")


def test_nothing_is_written(patient):
    """Neither into the database nor into Kafka."""
    counters = ("SELECT xact_commit > 0, tup_inserted, tup_updated, tup_deleted FROM pg_stat_database"
                " WHERE datname = current_database()")
    wait_until_counted(patient)
    before = patient.database.rows(counters)
    assert patient.doctor().exit_code == 0
    wait_until_counted(patient)
    assert patient.database.rows(counters) == before
    assert sum(patient.kafka.end_offsets(patient.name).values()) == 0
    assert sum(patient.kafka.end_offsets(f"{patient.name}.dlq").values()) == 0
    assert groups(patient) == []


def set_clock(path, ahead_ms):
    """In place: it is mapped."""
    with open(path, "r+b") as file:
        file.write(ahead_ms.to_bytes(8, "little", signed=True))


def seconds_off(report, check, direction):
    return float(re.search(rf"clock is (\d+\.\d+) s {direction}", report[check]["found"])[1])


def test_clock_of_this_host_is_off(patient, tmp_path):
    shift = tmp_path / "shift"
    shift.write_bytes(bytes(8))
    set_clock(shift, 7000)
    patient.environment |= {"LD_PRELOAD": str(shim.build(tmp_path, "clock_shim")), "CLOCK_SHIM_FILE": str(shift)}
    report = patient.doctor()
    assert report.bad() == ["broker-clock", "database-clock"]
    for check in report.bad():
        assert seconds_off(report, check, "behind") == pytest.approx(7, abs=0.5)
    patient.heal("broker-clock", seen=report)


def test_clock_of_the_broker_is_off(patient, broker_shift):
    set_clock(broker_shift, 7000)
    patient.environment["CLOCK_SHIM_FILE"] = str(broker_shift)  # for timedatectl
    try:
        report = patient.doctor()
        assert report.bad() == ["broker-clock"]
        assert seconds_off(report, "broker-clock", "ahead of") == pytest.approx(7, abs=0.5)
        patient.heal("broker-clock", seen=report)
    finally:
        set_clock(broker_shift, 0)


def test_group_of_its_own_that_stays(patient, tmp_path):
    patient.environment["LD_PRELOAD"] = str(shim.build(tmp_path, "delete_shim"))
    report = patient.doctor()
    assert report.bad() == ["broker-clock"] and groups(patient) == [f"g-{patient.name}.doctor"]
    assert f"group g-{patient.name}.doctor, with one offset, is left behind: " in report["broker-clock"]["found"]
    del patient.environment["LD_PRELOAD"]
    patient.shell(report["broker-clock"]["mend"])
    assert groups(patient) == []


def test_broker_that_does_not_know_the_questions(patient):
    """librdkafka 2.0.2 would end the process for a question about a group that its coordinator does not know."""
    with DevBroker(topics={"t": 4}) as broker:
        patient.set(brokers=broker.brokers, topic="t")
        report = patient.doctor("--timeout", "3")
    assert report.bad() == []
    assert [report[name]["verdict"] for name in ("topic-settings", "group", "broker-clock", "dead-letter-settings")] == ["skip"] * 4
    assert "idempotently" in report["write-permission"]["found"] and report["retention"]["verdict"] == "ok"


def test_library_with_a_known_fault(patient, tmp_path):
    version = tmp_path / "version"
    version.write_text("020001ff")
    patient.environment |= {"LD_PRELOAD": str(shim.build(tmp_path, "version_shim")), "VERSION_SHIM_FILE": str(version)}
    report = patient.doctor()
    assert report.bad() == ["libraries"] and "librdkafka 2.0.1, " in report["libraries"]["found"]
    patient.heal("libraries", seen=report)


def test_library_of_which_there_is_no_newer_one(patient, tmp_path):
    """What cannot be mended is no warning: it is told what winnow does about it."""
    version = tmp_path / "version"
    version.write_text("020002ff")
    patient.environment |= {"LD_PRELOAD": str(shim.build(tmp_path, "version_shim")), "VERSION_SHIM_FILE": str(version)}
    line = patient.doctor()["libraries"]
    assert (line["verdict"], line["mend"]) == ("ok", None)
    assert "librdkafka 2.0.2, " in line["found"] and "winnow keeps off what goes wrong in it" in line["found"]


def test_packages_of_mends_exist():
    """Each that a known fault of a library names, as Debian knows it."""
    text = (ROOT / "worker" / "library_versions.c").read_text()
    packages = set(re.findall(r'"(lib[a-z0-9+.-]+)",', text))
    assert packages == {"librdkafka1", "libjson-c5", "libpq5"}
    policy = subprocess.run(["apt-cache", "policy", *packages], check=True, capture_output=True, text=True).stdout
    assert len(re.findall(r"Candidate: \d", policy)) == len(packages)


def test_library_that_aborts_is_told(patient, tmp_path):
    patient.environment |= {"LD_PRELOAD": str(shim.build(tmp_path, "abort_shim"))}
    ended = patient.run("doctor", "--timeout", "3")
    assert ended.returncode == 75
    assert "\nok    topic " in ended.stdout
    assert "ended by signal 6 (Aborted)" in ended.stderr and "try again" in ended.stderr


def test_each_broker_is_told_for_itself():
    """Where the client for all of them goes on complaining of the others meanwhile."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as silent:
        port = silent.getsockname()[1]
        done = pool.run("doctor", "--json", "-t", "t", "-b", f"127.0.0.1:1,127.0.0.1:{port},127.0.0.1:2", "--timeout", "4",
                        "-d", "host=/nowhere", timeout_s=60)
    found = {check["check"]: check["found"] for check in json.loads(done.out)["checks"]}["brokers"]
    parts = found.split("; 127.0.0.1:")
    assert len(parts) == 3, found
    for part, number in zip(parts, (1, port, 2)):
        assert part.removeprefix("127.0.0.1:").startswith(f"{number}: ")
        assert set(re.findall(r"127\.0\.0\.1:(\d+)/", part)) <= {str(number)}, found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_it(number):
    """Also while a broker takes connections and says nothing, and only the process that the shell knows is told."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as silent:
        command = [pool.BINARY, "doctor", "-t", "t", "-b", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "60"]
        with subprocess.Popen(command, env=pool.environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as doctor:
            assert [doctor.stdout.readline()[6:19] for _ in range(2)] == ["configuration", "libraries    "]
            begin = time.monotonic()
            doctor.send_signal(number)
            out, error = doctor.communicate(timeout=60)
    assert time.monotonic() - begin < 30
    assert doctor.returncode == 75 and error == "winnow doctor: stopped before its end\n"
    assert out == ""
