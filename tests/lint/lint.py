"""make lint: one counted check a line, and what it found below it. Ends with "N passed, N failed".

Expects build/libcommon.a to be there (tests/run sees to it)."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import structure  # pylint: disable=wrong-import-position
import tools      # pylint: disable=wrong-import-position


def _checks():
    for module in (structure, tools):
        for name, function in vars(module).items():
            if name.startswith("check_"):
                yield name[len("check_"):], function


def _findings(function):
    """A check that cannot run has failed."""
    try:
        return list(function())
    except Exception as error:  # pylint: disable=broad-except
        return [f"could not run: {type(error).__name__}: {error}"]


def main():
    passed = failed = 0
    for name, function in _checks():
        begun = time.monotonic()
        findings = _findings(function)
        verdict = "ok  " if not findings else "FAIL"
        print(f"{verdict} {name:<16} {function.__doc__}  ({time.monotonic() - begun:.1f} s)")
        for finding in findings:
            print(f"     {finding}")
        passed += not findings
        failed += bool(findings)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
