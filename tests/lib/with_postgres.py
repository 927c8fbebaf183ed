#!/usr/bin/python3
"""Runs a program with a private PostgreSQL: with_postgres.py PROGRAM [ARGUMENT]…

PGHOST, PGPORT, PGUSER and PGDATABASE lead to an empty database. Ends as the program did, with its exit code or by its
signal."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from winnow_test.postgres import SUPERUSER, Postgres  # noqa: E402


def main():
    with Postgres() as server:
        database = server.new_database()
        database.close()
        env = {**os.environ, "PGHOST": str(server.socket_directory), "PGPORT": str(server.port),
               "PGUSER": SUPERUSER, "PGDATABASE": database.name}
        return subprocess.run(sys.argv[1:], env=env, check=False).returncode


if __name__ == "__main__":
    CODE = main()
    if CODE < 0:
        os.kill(os.getpid(), -CODE)
    sys.exit(CODE)
