"""A private PostgreSQL in a temporary directory."""

import glob
import os
import pwd
import secrets
import signal
import subprocess

import psycopg2

from .poll import wait_until
from .process import (Process, Started, children_of, free_port, is_alive, make_directory, remove_directory,
                      wait_until_gone)

SUPERUSER = "postgres"

# As fast as it goes: the directory is thrown away. Killing the server loses nothing all the same, since the
# operating system keeps what was written; only a power failure would need fsync.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "max_wal_size": "512MB",
    "log_line_prefix": "'%m %p %d %a '",
    "log_min_duration_statement": "5s",
    "timezone": "UTC",
    "jit": "off",
}


def _programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    if not found:
        raise RuntimeError("no PostgreSQL server programs under /usr/lib/postgresql; run: make deps")
    return os.path.dirname(found[-1])


class Postgres(Started):
    """`with Postgres() as server:` starts it, and stops and removes it at the end.

    Over the socket everyone who can reach it is trusted (only root and the server's user can); over TCP the
    password is asked for. kept: an absolute path of a data directory to make there, or to use again, which stays at the
    end; the password is then that of the run that made it."""

    def __init__(self, settings=None, kept=None):
        self.directory = make_directory("pg")
        self.data = kept or self.directory / "data"
        self._kept = kept is not None
        self.socket_directory = self.directory / "s"
        self.log_path = self.directory / "postgres.log"
        self.port = free_port()
        self.password = secrets.token_hex(12)
        self._settings = {**SETTINGS, **(settings or {})}
        self._programs = _programs()
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self._process = None
        self._database_count = 0
        self._create()

    def _create(self):
        self.socket_directory.mkdir(mode=0o700)
        if self._kept and (self.data / "PG_VERSION").exists():
            self.give_to_user(self.socket_directory)
            return
        self.data.mkdir(mode=0o700)
        password_file = self.directory / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password + "\n")
        credentials = self.give_to_user(self.socket_directory, self.data, password_file)
        subprocess.run(
            [f"{self._programs}/initdb", "-D", self.data, "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8",
             "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password_file}", "--no-sync",
             "--no-instructions"],
            check=True, stdout=subprocess.DEVNULL, cwd=self.directory, **credentials)
        password_file.unlink()

    def give_to_user(self, *paths):
        """The server's user owns them then; the credentials for subprocess.run() of its programs."""
        if self._user is None:
            return {}
        for path in paths:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def start(self, timeout_s=120):
        """Starts it and waits until it answers; does nothing when it runs."""
        if self.is_running():
            return
        argv = [f"{self._programs}/postgres", "-D", self.data, "-p", str(self.port), "-k", self.socket_directory,
                "-h", "127.0.0.1"]
        for name, value in self._settings.items():
            if value is None:  # as the server has it by itself, and as ALTER SYSTEM can change it
                continue
            argv += ["-c", f"{name}={str(value).strip(chr(39))}"]
        if not self.log_path.exists():
            self.log_path.touch()
        # SIGQUIT is the immediate shutdown: the postmaster takes its children along.
        self._process = Process(argv, self.log_path, cwd=self.directory, user=self._user,
                                death_signal=signal.SIGQUIT)
        wait_until(self._answers, timeout_s, "PostgreSQL accepts connections", on_timeout=self.log_tail)

    def _answers(self):
        if not self._process.is_running():
            raise RuntimeError(f"PostgreSQL ended with {self._process.exit_code}\n{self.log_tail()}")
        try:
            psycopg2.connect(self.dsn("postgres"), connect_timeout=2).close()
            return True
        except psycopg2.OperationalError:
            return False

    def is_running(self):
        return self._process is not None and self._process.is_running()

    def stop(self, mode="fast"):
        """mode: smart, fast, or immediate (no checkpoint; the next start recovers)."""
        if self.is_running():
            number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
            self._process.stop(number, timeout_s=60)

    def kill(self):
        """SIGKILL to the postmaster; its children notice and end."""
        if self.is_running():
            children = children_of(self._process.pid)
            self._process.kill()
            wait_until_gone(children)

    def pause(self):
        """Freezes the server: connections stay open and nothing is answered. Returns what resume() takes."""
        # The postmaster first, or it would start new ones meanwhile.
        pids = [self._process.pid]
        os.kill(pids[0], signal.SIGSTOP)
        for pid in children_of(pids[0]):
            os.kill(pid, signal.SIGSTOP)
            pids.append(pid)
        return pids

    def resume(self, pids):
        for pid in pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def close(self):
        self.stop("fast" if self._kept else "immediate")
        remove_directory(self.directory)

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines=30):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def dsn(self, database, user=SUPERUSER):
        """Over the socket, without a password."""
        return f"host={self.socket_directory} port={self.port} dbname={database} user={user}"

    def tcp_dsn(self, database, user=SUPERUSER, password=None, port=None):
        """With the password. port: another one, of a proxy that leads here."""
        return (f"host=127.0.0.1 port={port or self.port} dbname={database} user={user} "
                f"password={password if password is not None else self.password}")

    @property
    def user(self):
        """Whom the server runs as; None: as we do."""
        return self._user

    def psql(self, database):
        """What a person types to look around."""
        return f"psql 'host={self.socket_directory} port={self.port} user={SUPERUSER} dbname={database}'"

    def new_database(self, name=None):
        """Creates an empty database and returns a Database."""
        self._database_count += 1
        name = name or f"t{os.getpid()}_{self._database_count}"
        with Database(self, "postgres") as admin:
            admin.run(f'CREATE DATABASE "{name}"')
        return Database(self, name)

    def drop_database(self, name):
        with Database(self, "postgres") as admin:
            admin.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class Database:
    """One database of a server; each question opens the connection again if it was lost."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.dsn = server.dsn(name)
        self._connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def drop(self):
        self.close()
        self.server.drop_database(self.name)

    def _cursor(self):
        if self._connection is None or self._connection.closed:
            self._connection = psycopg2.connect(
                self.dsn, connect_timeout=30, application_name="winnow test", options="-c timezone=UTC")
            self._connection.autocommit = True
        return self._connection.cursor()

    def _execute(self, sql, parameters):
        with self._cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description is not None else []

    def rows(self, sql, parameters=None):
        """The rows of a query as a list of tuples. Asked again when the server was restarted in between."""
        was_connected = self._connection is not None
        try:
            return self._execute(sql, parameters)
        except psycopg2.Error as error:
            if not was_connected or not (error.pgcode is None or error.pgcode.startswith("57P")):
                raise
            self.close()
            return self._execute(sql, parameters)

    def run(self, sql, parameters=None):
        """Once, without a second try."""
        self._execute(sql, parameters)

    def copy(self, table, path):
        """Loads a file as COPY reads it: a line a row, tabs between the columns."""
        with self._cursor() as cursor, open(path, encoding="utf-8") as file:
            cursor.copy_expert(f"COPY {table} FROM STDIN", file)

    def value(self, sql, parameters=None):
        """The first column of the first row, None without rows."""
        rows = self.rows(sql, parameters)
        return rows[0][0] if rows else None

    def terminate_backends(self, application_name_like="winnow%"):
        """pg_terminate_backend for the pool's connections, not for our own. Returns how many there were."""
        return self.value(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND application_name LIKE %s AND application_name <> 'winnow test'", (application_name_like,))
