#!/usr/bin/python3
"""A campaign: runs of chaos one after the other, each in a process of its own, and the sum of what came of them.

    make campaign MINUTES=6.5 SEEDS="1 2 3"

Each result is a line in build/campaign.jsonl, written when its run ends: `campaign.py --sum` adds up what is there, and
`--continue` runs the seeds that are not. Every fifth run goes without the unique keys, every fifth without the fence.
Ends with 0 when all runs were exact."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import shields                              # noqa: E402
from account import Account                 # noqa: E402
from winnow_test.process import ROOT        # noqa: E402

RESULTS = ROOT / "build" / "campaign.jsonl"
RUN_COUNT = 10
RUN_MINUTES = 6.5
MORE_TIME_S = 1200      # for starting, draining and judging
SHIELDS = (shields.ALL, shields.NO_UNIQUE, shields.ALL, shields.NO_FENCE, shields.ALL)


def _results():
    """What is in the file, as Accounts."""
    if not RESULTS.exists():
        return []
    return [Account.from_json(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def _append(account):
    RESULTS.parent.mkdir(exist_ok=True)
    with open(RESULTS, "a", encoding="utf-8") as file:
        file.write(account.to_json() + "\n")


def _run(seed, shield, minutes):
    """One run, which writes its result itself, unless it came to a bad end."""
    before = len(_results())
    argv = [sys.executable, Path(__file__).with_name("chaos.py"), "--seed", str(seed), "--minutes", str(minutes),
            "--shield", shield, "--json", RESULTS]
    try:
        code = subprocess.run(argv, timeout=60 * minutes + MORE_TIME_S, check=False).returncode
        end = f"ended with {code}"
    except subprocess.TimeoutExpired:
        end = "did not end in time"
    if len(_results()) == before:
        account = Account(seed, shield)
        account.wrong.append(f"the run {end} before its account")
        _append(account)


def _sum():
    """Prints the sum of all results; whether all were good."""
    results = _results()
    total = Account(" ".join(str(account.seed) for account in results),
                    ", ".join(f"{shield} {sum(account.shield == shield for account in results)}"
                              for shield in shields.SHIELDS))
    for account in results:
        total.add(account)
    print(f"campaign   {len(results)} runs, {total.storm_s / 60:.1f} minutes of faults, "
          f"{total.took_s / 60:.1f} minutes with starting, draining and judging")
    print(total.text())
    return bool(results) and total.is_good


def _read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=RUN_MINUTES, help="of each run")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help=f"default: {RUN_COUNT} of the clock")
    parser.add_argument("--sum", action="store_true", help="only add up what is in build/campaign.jsonl")
    parser.add_argument("--continue", action="store_true", dest="goes_on", help="keep what is there, run what is missing")
    given = parser.parse_args()
    if given.seeds is None:
        given.seeds = [int(time.time()) + number for number in range(RUN_COUNT)]
    return given


def main():
    options = _read_options()
    if not options.sum:
        if not options.goes_on:
            RESULTS.unlink(missing_ok=True)
        done = {account.seed for account in _results() if account.storm_s > 0}
        for number, seed in enumerate(options.seeds):
            if seed not in done:
                _run(seed, SHIELDS[number % len(SHIELDS)], options.minutes)
    return 0 if _sum() else 1


if __name__ == "__main__":
    sys.exit(main())
