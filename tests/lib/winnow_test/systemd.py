"""A systemd of our own: process 1 of a namespace, on a copy of this system that exists in memory only."""

import os
import subprocess
from pathlib import Path

from .poll import wait_until
from .process import Process, Started, children_of, make_directory, remove_directory

# What a service waits for by default, without what boots a machine.
TARGETS = {
    "sysinit.target": "[Unit]\nDescription=nothing\nDefaultDependencies=no\n"
                      "Wants=systemd-journald.socket systemd-journald.service\nAfter=systemd-journald.service\n",
    "basic.target": "[Unit]\nDescription=nothing\nDefaultDependencies=no\nRequires=sysinit.target\nAfter=sysinit.target\n",
    "network-online.target": "[Unit]\nDescription=nothing\nDefaultDependencies=no\n",
}
# Where control groups may be made: of version 1, of both, of version 2.
TREES = [Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]
# systemd takes the group that it finds itself in for the root of all: each has one of its own.
BOOT = """
for tree in "$@"; do
    mkdir "$tree"
    echo 0 > "$tree/cgroup.procs"
done
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/work /mnt/root
cp -r --preserve=mode "$0" /mnt/upper
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx dev/
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts
mkdir -p mnt
pivot_root . mnt
cd /
umount -l /mnt
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=basic.target --show-status=no
"""


class Systemd(Started):
    """`with Systemd(stage) as systemd:` has the files below the directory `stage` in their places; see TARGETS."""

    def __init__(self, stage):
        self._stage = stage
        self._directory = make_directory("systemd")
        self._groups = [tree / self._directory.name for tree in TREES if os.access(tree / "cgroup.procs", os.W_OK)]
        self._process = None
        self._pid = None
        units = stage / "etc/systemd/system"
        units.mkdir(parents=True, exist_ok=True)
        for name, text in TARGETS.items():
            (units / name).write_text(text)

    def start(self):
        self._process = Process(
            ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "sh", "-euc", BOOT, self._stage,
             *self._groups],
            self._directory / "log")
        wait_until(self._answers, 30, "systemd answers", on_timeout=self._process.log_tail)

    def close(self):
        if self._process is not None:
            self._process.kill()
        for group in self._groups:
            wait_until(lambda group=group: remove_group(group), 30, f"{group} is empty")
        remove_directory(self._directory)

    def _answers(self):
        if not self._process.is_running():
            raise RuntimeError(f"systemd ended with {self._process.exit_code}\n{self._process.log_tail()}")
        children = children_of(self._process.pid)
        self._pid = children[0] if children else None
        return self._pid is not None and self.run("systemctl", "is-active", "basic.target").stdout == "active\n"

    def run(self, *argv, check=False):
        """Runs a program in it: a CompletedProcess, with standard error in its output."""
        done = subprocess.run(["nsenter", "-t", str(self._pid), "-m", "-p", "-u", "-i", "-r", "-w", *map(str, argv)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{argv} ended with {done.returncode}:\n{done.stdout}\n{self.journal()}")
        return done

    def journal(self):
        return self.run("journalctl", "--no-pager", "-o", "cat").stdout

    def property(self, unit, name):
        return self.run("systemctl", "show", "--value", "-p", name, unit, check=True).stdout.strip()


def remove_group(group):
    """Whether it is gone, with those in it: not while processes that are being killed are still there."""
    try:
        for below in sorted(group.rglob("*/"), reverse=True):
            below.rmdir()
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
