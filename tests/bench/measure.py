"""CPU time and memory of processes, from /proc. Times are in seconds of one core."""

import os
import time
from pathlib import Path

from winnow_test.process import children_of

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _cpu_of(pid):
    """What a process has used, with its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_PER_S


def scheduled_s(pid):
    """What the threads of a process have used so far, to the nanosecond: for those that use next to nothing."""
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0])
               for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def cpu_of_tree(pid):
    """A process, its children, and those of them that have ended."""
    return _cpu_of(pid) + sum(_cpu_of(child) for child in children_of(pid))


def cpu_of_machine():
    """What all processors have spent on something, in all processes."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / TICKS_PER_S


def peak_memory_mib(pid):
    """The most memory that the process had resident so far; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), default=0.0)


class CpuClock:
    """What named process trees use from now on; `excluded` pids are taken off their group."""

    def __init__(self, roots, excluded=None):
        self._roots = roots
        self._excluded = excluded or {}
        self._machine = cpu_of_machine()
        self._begun = time.monotonic()
        self._at_begin = {name: self._read(name) for name in roots}

    def add(self, name, pid):
        """A tree that begins now: all that it uses counts."""
        self._roots[name] = pid
        self._at_begin[name] = 0.0

    def _read(self, name):
        return cpu_of_tree(self._roots[name]) - sum(map(_cpu_of, self._excluded.get(name, ())))

    def read(self):
        """name → seconds; "others_cores": how many processors the rest of the machine kept busy."""
        used = {name: self._read(name) - begin for name, begin in self._at_begin.items()}
        rest = cpu_of_machine() - self._machine - sum(used.values())
        used["others_cores"] = round(max(0.0, rest) / (time.monotonic() - self._begun), 2)
        return used
