#!/usr/bin/python3
"""Takes one line of defence out of winnow at a time, and demands that a test notices:   run.py [--fast] [NAME…]

Each NAME.patch here begins with

    defence: what is taken out
    test: SUITE/PROGRAM::NAME OF THE TEST          (of CUnit), or FOLDER/FILE.py::TEST[PARAMETERS]  (of pytest)
    slow: why                                      (only where it takes long: then --fast leaves it out)

and goes on as a unified diff. It is applied to a copy of the tree in build/mutants, which is removed at the end. The test
must pass in the copy without the patch and fail with it: a patch that does not apply, changes nothing or does not
build, a test that is not there, is skipped or does not end, and a mutant that survives are failures. --fast: only
those whose test needs no server; of the others only whether the patch still applies and changes something, and one
that does not is a mutant that was not caught. Ends with 1 unless every mutant was caught; the last line is "N mutants,
N caught".
"""

import argparse
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

from patches import Patch, PatchError  # noqa: E402  pylint: disable=wrong-import-position
from room import ROOT, Room            # noqa: E402  pylint: disable=wrong-import-position

HERE = Path(__file__).resolve().parent


def verdict(room, patch):
    """"caught", or what is wrong."""
    before = room.passes(patch.test)
    if before is not None:
        return f"without the patch, {patch.test}: {before}"
    try:
        with room.changed(patch):
            if not room.build(patch.test):
                return "does not build"
            return room.fails(patch.test) or "caught"
    except PatchError as error:
        return str(error)


def run_all(patches):
    caught = 0
    width = max(len(patch.name) for patch in patches)
    with Room([patch.test for patch in patches]) as room:
        for patch in patches:
            begun = time.monotonic()
            found = verdict(room, patch)
            caught += found == "caught"
            print(f"{patch.name:<{width}}  {found if found == 'caught' else 'FAILED: ' + found}  "
                  f"{time.monotonic() - begun:.1f} s  {patch.test}", flush=True)
    return caught


def count_stale(patches):
    """How many do not fit the tree any more; each is told."""
    count = 0
    for patch in patches:
        try:
            list(patch.changes(ROOT))
        except PatchError as error:
            count += 1
            print(f"{patch.name}  FAILED: {error}", flush=True)
    return count


def chosen(arguments):
    """Those to run, and those of which only the patch is looked at."""
    patches = [Patch(path) for path in sorted(HERE.glob("*.patch"))]
    unknown = set(arguments.names) - {patch.name for patch in patches}
    if unknown:
        sys.exit(f"no mutant {sorted(unknown)[0]}")
    if arguments.names:
        return [patch for patch in patches if patch.name in arguments.names], []
    if arguments.fast:
        return [patch for patch in patches if patch.is_fast()], [patch for patch in patches if not patch.is_fast()]
    return patches, []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="run only those whose test needs no server")
    parser.add_argument("names", nargs="*", metavar="NAME")
    try:
        patches, others = chosen(parser.parse_args())
        stale = count_stale(others)
        caught = run_all(patches)
    except PatchError as error:
        sys.exit(str(error))
    print(f"{len(patches) + stale} mutants, {caught} caught")
    return 0 if patches and caught == len(patches) + stale else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
