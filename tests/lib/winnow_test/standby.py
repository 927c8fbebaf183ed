"""A streaming standby, asynchronous: what the primary commits reaches it a little later, or not at all."""

import subprocess

from .poll import wait_until
from .postgres import SUPERUSER, Database, Postgres


class Standby(Postgres):
    """`with Standby(primary) as standby:` copies a running primary and follows it."""

    def __init__(self, primary, settings=None):
        self._primary = primary
        super().__init__(settings)
        self.password = primary.password

    def _create(self):
        self.socket_directory.mkdir(mode=0o700)
        self.data.mkdir(mode=0o700)
        credentials = self.give_to_user(self.socket_directory, self.data)
        subprocess.run(
            [f"{self._programs}/pg_basebackup", "-h", self._primary.socket_directory, "-p", str(self._primary.port),
             "-U", SUPERUSER, "-D", self.data, "-X", "stream", "-c", "fast", "-R", "--no-sync"],
            check=True, cwd=self.directory, **credentials)

    def wait_until_level(self, timeout_s=30):
        """Until it has applied all that the primary has written by now."""
        with Database(self._primary, "postgres") as primary, Database(self, "postgres") as own:
            place = primary.value("SELECT pg_current_wal_lsn()")
            wait_until(lambda: own.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (place,)), timeout_s,
                       f"the standby has applied {place}", on_timeout=self.log_tail)

    def lose_primary(self):
        """From now on it hears nothing of the primary; what it has received it applies."""
        with Database(self, "postgres") as own:
            own.run("ALTER SYSTEM SET primary_conninfo = ''")
            own.run("SELECT pg_reload_conf()")
            wait_until(lambda: own.value("SELECT count(*) FROM pg_stat_wal_receiver") == 0, 30, "the receiver has ended",
                       on_timeout=self.log_tail)

    def promote(self):
        with Database(self, "postgres") as own:
            assert own.value("SELECT pg_promote()"), self.log_tail()
