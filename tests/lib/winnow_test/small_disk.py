"""A small file system of the test's own, to be filled and emptied."""

import os
import subprocess
import tempfile
from pathlib import Path

from .process import DIRECTORY_PREFIX, make_directory, remove_directory

BALLAST = "ballast"


class NotPermitted(Exception):
    """Mounting needs root, and a kernel that lets it."""


class SmallDisk:
    """`with SmallDisk(megabytes) as disk:` is a tmpfs at disk.path, which belongs to the user given (a pwd entry).

    It takes no more memory than what is written to it. Raises NotPermitted where it cannot be mounted."""

    def __init__(self, megabytes, user=None):
        _unmount_left_over()
        self.directory = make_directory("disk")
        self.path = self.directory / "disk"
        self.path.mkdir()
        owner = f",uid={user.pw_uid},gid={user.pw_gid}" if user is not None else ""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700{owner}", "winnow-test", self.path],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            remove_directory(self.directory)
            raise NotPermitted(f"a small file system cannot be mounted here: {done.stdout.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fill(self, but_for=0):
        """Takes all the space that is left, byte by byte, but for so many bytes. Returns how much that was."""
        size = 0
        with open(self.path / BALLAST, "ab", buffering=0) as ballast:
            for block in (1 << 20, 4096, 1):
                try:
                    while True:
                        size += ballast.write(b"\0" * block)
                except OSError:
                    pass
            size -= but_for
            ballast.truncate(size)
        return size

    def free(self):
        (self.path / BALLAST).unlink()

    def close(self):
        _unmount(self.path)
        remove_directory(self.directory)


def _unmount(path):
    """Also while a server that is just ending has files open there."""
    subprocess.run(["umount", "-l", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _unmount_left_over():
    """Of runs that were killed."""
    prefix = f"{tempfile.gettempdir()}/{DIRECTORY_PREFIX}"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        path = line.split()[1]
        owner = path[len(prefix):].split("-")[0] if path.startswith(prefix) else ""
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            _unmount(path)
