#!/usr/bin/python3
"""Counts the instructions that winnow's own code takes an event:   instructions.py [--acknowledge]

Runs each part of bench_micro over each workload under callgrind, and compares with instructions.txt. What counts is
measured() and what it calls, as far as it is our own code: libraries choose instructions by what the processor can do,
so theirs differ between machines. The last line is "N passed, N failed, N skipped"; ends with 1 when anything failed.
With --acknowledge it writes instructions.txt anew. Expects build/tests/bench/bench_micro to be there."""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "build/tests/bench/bench_micro"
KEPT = ROOT / "tests/bench/instructions.txt"
PARTS = ("json", "normalize", "hash", "step", "encode")
WORKLOADS = ("live", "loose")
CASES = [(part, workload) for part in PARTS for workload in WORKLOADS]
PER_CENT_MAX = 5
HEADER = """\
# Instructions an event of winnow's own code, libraries left out: part of bench_micro, workload, instructions.
# `make test` fails where they change by over 5 %, up or down. To acknowledge such a change:
#     make instructions ACKNOWLEDGE=1
# which writes this file anew; say in the commit what it bought. Another compiler makes other instructions: with
# any but the one of the next line nothing is compared.
"""


def compiler():
    """What makes the instructions, as far as it shows; clang's __VERSION__ says that it is clang."""
    flags = (ROOT / "build/flags").read_text().split()
    version = subprocess.run([flags[0], "-E", "-P", "-"], input="__VERSION__", stdout=subprocess.PIPE, check=True,
                             text=True).stdout.strip().strip('"')
    level = [flag for flag in flags if re.match(r"-O\w?$", flag)]
    return " ".join(["gcc" if version[0].isdigit() else "other", version, platform.machine(), *level])


def own_cost(profile):
    """The instructions within the program's own file; names are written once and then only by their number."""
    names, total, ours, callee = {}, 0, False, False
    for line in profile.splitlines():
        named = re.match(r"ob=(\(\d+\))(?: (.*))?", line)
        if named:
            names.setdefault(named[1], named[2])
            ours = Path(names[named[1]] or "").name == BENCH.name
        elif line.startswith("cob="):
            number, _, name = line[len("cob="):].partition(" ")
            names.setdefault(number, name or None)
        elif line.startswith("calls="):
            callee = True
        elif re.match(r"[+*\d-]\S* \d+$", line):
            if ours and not callee:
                total += int(line.split()[1])
            callee = False
    return total


def count(case):
    """Instructions an event; the text of a failure in place of a number."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}",
                               "--toggle-collect=measured", BENCH, *case, "0"],
                              cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        events = re.search(r"^(\d+) events$", done.stdout, re.MULTILINE)
        if done.returncode != 0 or not events or not profile.exists():
            return f"bench_micro under callgrind ended with {done.returncode}: {done.stderr.strip()[-300:]}"
        return own_cost(profile.read_text()) / int(events[1])


def count_all():
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        return dict(zip(CASES, executor.map(count, CASES)))


def read_kept():
    """(compiler, {case: instructions}); no case when the file is not there or not of this form."""
    try:
        lines = [line.split() for line in KEPT.read_text().splitlines() if line and not line.startswith("#")]
        return " ".join(lines[0]), {(part, workload): float(number) for part, workload, number in lines[1:]}
    except (OSError, ValueError, IndexError):
        return "", {}


def write_kept(counts):
    lines = [f"{part:<10} {workload:<8} {counts[part, workload]:8.1f}" for part, workload in CASES]
    KEPT.write_text(f"{HEADER}{compiler()}\n" + "".join(f"{line}\n" for line in lines))


def describe(case, found, expected):
    """A line about it, and whether nothing has to be acknowledged."""
    what = f"{case[0]:<10} {case[1]:<8}"
    if isinstance(found, str):
        return f"{what} {found}", False
    if expected is None:
        return f"{what} {found:8.1f} instructions an event", True
    change = round(100 * (found / expected - 1), 1) + 0.0
    return f"{what} {found:8.1f} instructions an event, {expected:8.1f} expected ({change:+.1f} %)", \
        abs(change) <= PER_CENT_MAX


def judge(case, found, expected):
    line, fine = describe(case, found, expected)
    print(f"{'ok  ' if fine else 'FAIL'} {line}")
    return fine


def compare():
    """(passed, failed, skipped)"""
    built_by, kept = read_kept()
    if set(kept) != set(CASES):
        print(f"FAIL {KEPT.name} does not name each part and workload; make instructions ACKNOWLEDGE=1")
        return 0, 1, 0
    print(f"ok   {KEPT.name} names each part and workload")
    if compiler() != built_by:
        print(f"skip this is {compiler()}; the numbers to compare with are of {built_by}")
        return 1, 0, len(CASES)
    counts = count_all()
    failed = sum(not judge(case, counts[case], kept[case]) for case in CASES)
    if failed:
        print(f"More than {PER_CENT_MAX} % from {KEPT.relative_to(ROOT)}: look for what costs it, or, when it is "
              "worth it,\nacknowledge it: make instructions ACKNOWLEDGE=1, and say why in the commit.")
    return 1 + len(CASES) - failed, failed, 0


def acknowledge():
    """Whether the file could be written anew."""
    counts = count_all()
    kept = read_kept()[1]
    for case, found in counts.items():
        print(describe(case, found, kept.get(case))[0])
    if any(isinstance(found, str) for found in counts.values()):
        return False
    write_kept(counts)
    print(f"{KEPT.relative_to(ROOT)} is written anew: say in the commit why")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acknowledge", action="store_true", help="write instructions.txt anew")
    if parser.parse_args().acknowledge:
        return 0 if acknowledge() else 1
    passed, failed, skipped = compare()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
