"""What people get wrong first, as a transcript: each error names what failed, why, and what to do next."""

import re
import subprocess

import pytest

from winnow_test import pool

NOBODY = "host=127.0.0.1 port=1 dbname=winnow"
REFUSED = ('connection to server at "127.0.0.1", port 1 failed: Connection refused; '
           "check -d, or PGHOST and PGPORT, and whether the server runs")
OF_A_FILE = "expected a file with one event a line"

# Without a server that answers: what was typed, the exit code, all that it says.
ALONE = [
    ("winnow statsu", 64, "winnow: statsu is no command, did you mean winnow status?"),
    ("winnow replay", 64, "winnow: replay is no command, did you mean winnow dlq replay?"),
    ("winnow dlq lst", 64, "winnow dlq: lst is no command of it, did you mean winnow dlq list?; see: winnow dlq --help"),
    ("winnow help staus", 64, "winnow help: staus is no command and no event of the log, did you mean winnow help status?"),
    ("winnow help setings", 64, "winnow help: setings is no command and no event of the log, did you mean winnow help settings?"),
    ("winnow help partition_halt", 64,
     "winnow help: partition_halt is no command and no event of the log, did you mean winnow help partition_halted?"),
    ("winnow help replay", 64, "winnow help: replay is no command and no event of the log, did you mean winnow help dlq replay?"),
    ("winnow help pool scal", 64, "winnow pool: scal is no command of it, did you mean winnow pool scale?; see: winnow pool --help"),
    ("winnow help config init", 64, "winnow config: init is no command of it; see: winnow config --help"),
    ("winnow help doctor group", 64, "winnow doctor: group is no command of it; see: winnow doctor --help"),
    ("winnow config", 64, "winnow config: found nothing, expected check, print or example; see: winnow config --help"),
    ("winnow config check this", 64, "winnow config: found this behind check, expected nothing; see: winnow config --help"),
    ("winnow completion", 64, "winnow completion: found nothing, expected bash, zsh or fish; see: winnow completion --help"),
    ("winnow dlq show", 64, "winnow dlq show: found no ID, expected one, such as events/3/1042; winnow dlq list --each tells them; "
     "see: winnow dlq show --help"),
    ("winnow dlq list --reason amount_invald", 64, "winnow dlq list: --reason: found amount_invald, expected a reason as winnow dlq "
     "list shows them, did you mean amount_invalid?; see: winnow dlq list --help"),
    ("winnow pool scale", 64,
     "winnow pool: scale: found nothing, expected a number of workers from 1 to 256; see: winnow pool --help"),
    ("winnow pool scale x", 64,
     "winnow pool: scale: found x, expected a number of workers from 1 to 256; see: winnow pool --help"),
    ("winnow pool scale 0", 64,
     "winnow pool: scale: found 0, expected a number of workers from 1 to 256; see: winnow pool --help"),
    ("winnow pool scale 2 3", 64, "winnow pool: found 3 behind scale 2, expected nothing; see: winnow pool --help"),
    ("winnow pool quiet 3", 64, "winnow pool: found 3 behind quiet, expected nothing; see: winnow pool --help"),
    ("winnow seek", 64, "winnow seek: found no target, expected one: --to-earliest, --to-latest, --to-offset, --to-datetime or "
     "--shift-by; see: winnow seek --help"),
    ("winnow retain", 64,
     "winnow retain: found no --keep, expected --keep TIME, such as --keep '13 months'; see: winnow retain --help"),
    (f"winnow retain --keep x -d '{NOBODY}'", 69, f"winnow retain: cannot connect to PostgreSQL: {REFUSED}"),
    ("winnow config check -b b:1 -t t -X sesion.timeout.ms=3", 78,
     'winnow: kafka configuration: No such configuration property: "sesion.timeout.ms", did you mean session.timeout.ms?; '
     "check [kafka] in the file, WINNOW_KAFKA_… and -X"),
    ("winnow submit --quite", 64,
     "winnow submit: --quite is no option, did you mean --quiet?; see: winnow submit --help"),
    ("winnow migrate --workers 3", 64, "winnow migrate: --workers is not for this command; see: winnow migrate --help"),
    ("winnow migrate staus", 64, "winnow migrate: found staus, expected status, did you mean status?; see: winnow migrate --help"),
    ("winnow config chek", 64,
     "winnow config: found chek, expected check, print or example, did you mean check?; see: winnow config --help"),
    ("winnow pool -b b:1 -t t --log-level debgu", 64,
     "winnow: --log-level: found debgu, expected error, warning, info or debug; did you mean debug?"),
    ("winnow pool -n 999 -b b:1 -t t", 64, "winnow: --workers: found 999, expected a whole number from 1 to 256"),
    ("winnow submit -b b:1 {}", 78,
     "winnow: no topic given, expected -t/--topic NAME, WINNOW_TOPIC or a line `topic = ...` in a file"),
    ("winnow submit -b b:1 -t t -f /nowhere", 64,
     f"winnow submit: cannot open /nowhere: No such file or directory; {OF_A_FILE}"),
    ("winnow pool -c /nowhere", 78,
     "winnow: --config: cannot read /nowhere: No such file or directory; `winnow config example` prints a file to begin "
     "with"),
    (f"winnow migrate -d '{NOBODY}'", 69, f"winnow migrate: cannot connect to PostgreSQL: {REFUSED}"),
    (f"winnow status -t t -d '{NOBODY}'", 69, f"winnow status: cannot connect to PostgreSQL: {REFUSED}"),
    (f"winnow dlq list -t t -d '{NOBODY}'", 69, f"winnow dlq list: cannot connect to PostgreSQL: {REFUSED}"),
]


NOTHING = [
    (("seek", "t/0", "--shift-by", ""), "--shift-by: found nothing, expected a number of offsets such as 100 or -100"),
    (("resume", "t/0", "--at", ""), "--at: found nothing, expected next, earliest, latest or an offset"),
    (("doctor", "--timeout", ""), "--timeout: found nothing, expected seconds from 1 to 60"),
    (("status", "--every", ""), "--every: found nothing, expected seconds from 1 to 3600"),
    (("dlq list", "--limit", ""), "--limit: found nothing, expected a number from 1 on"),
    (("dlq export", "--format", ""), "--format: found nothing, expected ndjson or csv"),
    (("dlq replay", "--rate", ""), "--rate: found nothing, expected messages a second, such as 50/s"),
    (("pool", "scale", ""), "scale: found nothing, expected a number of workers from 1 to 256"),
    (("seek", "t/0", "--to-latest", "--reason", ""), "--reason: found nothing, expected why, in 1 to 500 characters"),
    (("resume", "t/0", "--at", "next", "--reason", "ä" * 501), "--reason: found more, expected why, in 1 to 500 characters"),
]

NO_TEXT = [
    (("seek", "t/0", "--to-latest", "--reason", b"\xff"), "--reason expects text in UTF-8"),
    (("dlq list", "--client", b"\xff"), "--client expects text in UTF-8"),
    (("dlq discard", "t/0/1", "--note", b"\xff"), "--note expects text in UTF-8"),
    (("dlq show", b"t\xff/0/1"), r"ID: found t\xff/0/1, expected topic/partition/offset, as winnow dlq list shows them and "
     "the header winnow-id has it"),
    (("seek", b"\xff/0", "--to-latest"), r"found \xff/0, expected a topic, or one with its partitions: events/3 or events/0,1"),
]


def words_of(line):
    return [quoted or plain for quoted, plain in re.findall(r"'([^']*)'|(\S+)", line)][1:]


def said(*arguments, **settings):
    result = pool.run(*arguments, settings=settings)
    return result.exit_code, result.error.strip()


def refused(words, **settings):
    command, *rest = words
    done = subprocess.run([pool.BINARY, *command.split(), *rest], env=pool.environment({"database": NOBODY, **settings}),
                          capture_output=True, timeout=60, check=False)
    return done.returncode, done.stderr.decode(errors="replace"), f"winnow {command}: ", f"; see: winnow {command} --help\n"


@pytest.mark.parametrize("words, text", NOTHING + NO_TEXT, ids=lambda words: str(words)[:60])
def test_a_value_that_is_none_is_refused_before_a_server_is_asked(words, text):
    exit_code, error, begin, end = refused(words, brokers="127.0.0.1:1")
    assert (exit_code, error) == (64, begin + text + end)


def test_files_may_be_called_anything():
    exit_code, error, _, _ = refused(("submit", "-f", b"/nowhere/\xff"), brokers="127.0.0.1:1", topic="t")
    assert exit_code == 64 and "cannot open" in error


def test_what_is_no_configuration_is_told_once(tmp_path):
    other = tmp_path / "other"
    other.write_text("something else\n" * 1000)
    exit_code, text = said("config", "check", "-c", other)
    assert exit_code == 78 and text.count("expected a line like: name = value") == 20
    assert text.splitlines()[20] == f"winnow: {other}: 980 lines more are wrong; is it a configuration of winnow?"


def test_a_socket_that_cannot_be_is_no_good_configuration():
    exit_code, text = said("config", "check", "-b", "b:1", "-t", "t", "--control-socket", "/run/" + "a" * 103)
    assert exit_code == 64 and text.endswith(", expected none, or a path of at most 107 bytes")
    assert said("config", "check", "-b", "b:1", "-t", "t", "--control-socket", "/run/" + "a" * 102) == (0, "")


@pytest.mark.parametrize("line, exit_code, text", ALONE, ids=[case[0] for case in ALONE])
def test_alone(line, exit_code, text):
    assert said(*words_of(line)) == (exit_code, text)


def test_keys_of_a_file_and_of_the_environment(tmp_path):
    file = tmp_path / "winnow.ini"
    file.write_text("topc = x\nbatch_rows = many\n")
    assert said("config", "check", "-c", file) == (
        78, f"winnow: {file}:1: no setting topc; did you mean topic?\n"
        f"winnow: {file}:2: batch_rows: found many, expected a whole number from 1 to 100000")
    assert said("pool", batch_row=3, brokers="b:1", topic="t") == (
        78, "winnow: WINNOW_BATCH_ROW: no such setting; did you mean WINNOW_BATCH_ROWS?")


def test_a_pool_cannot_read_a_pipe_again():
    done = subprocess.run(["bash", "-c", f"exec {pool.BINARY} pool -b b:1 -c <(echo topic = t)"], capture_output=True,
                          text=True, timeout=30, env=pool.environment({}), check=False)
    assert done.returncode == 78
    assert re.match(r"winnow: --config: cannot read /dev/fd/\d+: it is no file, expected one, which a pool can read again; ",
                    done.stderr)


def test_properties_are_checked_before_there_are_workers():
    exit_code, text = said("pool", "-b", "b:1", "-t", "t", "-X", "sesion.timeout.ms=3")
    assert exit_code == 78 and text.count("\n") == 0
    assert 'event=cannot_start msg="kafka configuration: No such configuration property: \\"sesion.timeout.ms\\", ' \
        'did you mean session.timeout.ms?; check [kafka] in the file, WINNOW_KAFKA_… and -X"' in text


def test_brokers_that_are_not_there():
    exit_code, text = said("submit", "-b", "127.0.0.1:1", "-t", "t", "--timeout", "1", "{}")
    assert exit_code == 69
    assert re.fullmatch(r"winnow submit: the brokers do not answer; last heard: 127.0.0.1:1/bootstrap: .* Connection "
                        r"refused; check -b/--brokers, security.protocol, and whether they run", text), text


@pytest.mark.parametrize("command", ["migrate", "status -t t", "dlq list -t t"])
@pytest.mark.parametrize("fault, exit_code, text", [
    ("password", 78, 'failed: password authentication failed for user "postgres"; check user and password (-d, PGUSER, '
     "PGPASSFILE) and the server's pg_hba.conf, SQLSTATE 28P01"),
    ("missing", 78, 'failed: database "no_such_database" does not exist; create the database, or name another with -d, '
     "SQLSTATE 3D000"),
    ("role", 78, 'failed: role "no_such_role" does not exist; check user and password (-d, PGUSER, PGPASSFILE) and the '
     "server's pg_hba.conf, SQLSTATE 28000")])
def test_wrong_database(database, command, fault, exit_code, text):
    dsn = {"password": database.server.tcp_dsn(database.name, password="bad"),
           "missing": database.server.dsn("no_such_database"),
           "role": database.server.dsn(database.name, user="no_such_role")}[fault]
    told = said(*command.split(), "-d", dsn)
    begins = f"winnow {command.split(' -t')[0]}: cannot connect to PostgreSQL: connection to server "
    assert told[0] == exit_code and told[1].startswith(begins) and told[1].endswith(text), told


@pytest.mark.parametrize("command", ["status -t t", "dlq list -t t"])
def test_no_schema(empty_database, command):
    exit_code, text = said(*command.split(), "-d", empty_database.dsn)
    assert exit_code == 78 and "run `winnow migrate`" in text, text


def test_schemas_of_other_versions(empty_database):
    dsn = empty_database.dsn
    assert said("migrate", "-d", dsn) == (0, "")
    newest = empty_database.value("SELECT max(version) FROM winnow.schema_migration")
    empty_database.run(f"DELETE FROM winnow.schema_migration WHERE version = {newest}")
    exit_code, text = said("worker", "-b", "127.0.0.1:1", "-t", "t", "-d", dsn)
    assert exit_code == 78 and re.search(rf"at version \d+ and this winnow needs version {newest}: run `winnow migrate`",
                                         text), text
    empty_database.run("INSERT INTO winnow.schema_migration VALUES (999999, '999999_future', 'x', now(), 'a', 1)")
    assert said("migrate", "-d", dsn) == (
        78, "winnow migrate: the database's schema is at version 999999 (999999_future) and newer than this winnow, which "
        f"knows version {newest}: run a newer winnow, see `winnow migrate status`")


def test_too_little_to_keep(database):
    """What stands on the command line is wrong usage, and nothing is told before."""
    for keep, found in (("1 day", "found --keep '1 day' and --merge-after '7 days', expected '1 month' and '1 day' at the least"),
                        ("soon", "found --keep 'soon' and --merge-after '7 days', expected times such as '13 months' (PostgreSQL: ")):
        told = pool.run("retain", "--keep", keep, settings={"database": database.dsn})
        assert (told.exit_code, told.out) == (64, "") and told.error.startswith(f"winnow retain: {found}"), told
        assert told.error.endswith("; see: winnow retain --help\n"), told


def test_nothing_is_told_before_the_schema_is_there(empty_database):
    told = pool.run("retain", "--keep", "2 months", settings={"database": empty_database.dsn})
    assert (told.exit_code, told.out) == (78, "") and "run `winnow migrate`" in told.error, told
