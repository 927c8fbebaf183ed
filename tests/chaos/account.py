"""What came of a run, or of many."""

import json
import re
import statistics
import traceback
from collections import Counter
from contextlib import contextmanager

COUNTERS = ("taken", "batches", "fenced", "resynced", "rereads", "gaps", "stale", "bisected")
# Workers that were killed tell nothing at their end, but some things they told when they happened.
TOLD_AT_ONCE = {"fenced": "fenced", "gaps": "gap"}


def counters(log):
    """The sums over all lines of workers that came to an orderly end; at least what all had told before."""
    total = Counter()
    for line in re.findall(r"event=worker_done msg=\"([^\"]*)\"", log):
        for name, value in re.findall(r"(\w+)=(\d+)", line):
            total[name] += int(value)
    for name, event in TOLD_AT_ONCE.items():
        lines = re.findall(rf"event={event} .*", log)
        left_out = sum(int(count) for line in lines for count in re.findall(r" suppressed=(\d+)", line))
        total[name] = max(total[name], len(lines) + left_out)
    return total


def _percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Account:
    """Counts and findings; those of several runs can be added."""

    SUMS = ("lost", "double", "message_count", "unknown_count", "letter_count", "copy_count", "sent_twice_count",
            "committed_count", "aborted_count", "overlap_count", "storm_s", "took_s")

    def __init__(self, seed, shield):
        self.seed = seed
        self.shield = shield
        self.wrong = []
        self.notes = []
        self.faults = Counter()
        self.counters = Counter()
        self.recoveries_s = {}      # kind of fault → seconds, …
        for name in self.SUMS:
            setattr(self, name, 0)

    @property
    def is_good(self):
        return not self.wrong

    @property
    def fault_count(self):
        return sum(self.faults.values())

    @contextmanager
    def noting(self):
        """Whatever is raised within is one more thing that is wrong, and the run goes on to its account and its logs."""
        try:
            yield
        except AssertionError as error:
            self.wrong.append(str(error))
        except Exception:  # pylint: disable=broad-except
            self.wrong.append(traceback.format_exc())

    def add_recovery(self, kind, seconds):
        self.recoveries_s.setdefault(kind, []).append(round(seconds, 2))

    def to_json(self):
        """One line, from which from_json() makes it again."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, line):
        account = cls(None, None)
        vars(account).update(json.loads(line))
        account.faults = Counter(account.faults)
        account.counters = Counter(account.counters)
        return account

    def add(self, other):
        for name in self.SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults
        self.counters += other.counters
        self.wrong += [f"seed {other.seed} ({other.shield}): {line}" for line in other.wrong]
        for kind, seconds in other.recoveries_s.items():
            self.recoveries_s.setdefault(kind, []).extend(seconds)

    def _recovery_lines(self):
        for kind, seconds in sorted(self.recoveries_s.items()):
            yield (f"recovery   {kind}: {len(seconds)} times, median {statistics.median(seconds):.1f} s, "
                   f"p99 {_percentile(seconds, 0.99):.1f} s, most {max(seconds):.1f} s")

    def text(self):
        minutes = max(self.storm_s, 1) / 60
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items()))
        told = ", ".join(f"{name} {self.counters[name]}" for name in COUNTERS)
        return "\n".join([
            f"seed       {self.seed}",
            f"shields    {self.shield}",
            f"faults     {self.fault_count} in {minutes:.1f} minutes, {self.fault_count / minutes:.0f} a minute: {faults}",
            f"messages   {self.message_count} acknowledged, {self.message_count / max(self.took_s, 1):.0f} a second; "
            f"{self.unknown_count} without an answer, {self.sent_twice_count} sent twice by a retry",
            f"transactions {self.committed_count} committed, {self.aborted_count} aborted",
            f"lost       {self.lost}",
            f"double     {self.double}",
            f"letters    {self.letter_count} in the table, {self.copy_count} copies in the topic",
            f"workers    {told} (of those that could tell)",
            *self._recovery_lines(),
            *self.notes,
            *(f"WRONG      {line}" for line in self.wrong),
            "verdict    " + ("exact" if self.is_good else "NOT exact")])
