#!/usr/bin/python3
"""libFuzzer (clang, with ASan and UBSan) on every fuzz target:   tests/fuzz/fuzz.py [--seconds N] [--merge] [TARGET…]

As many targets at a time as there are processors. New inputs are kept in build/fuzz/TARGET/corpus; what breaks a
promise is left, until the next run, in build/fuzz/TARGET as crash-…, leak-…, oom-… or timeout-…, and is replayed with
build/fuzz/TARGET/program FILE. --merge puts those of the new inputs that reach something new into tests/fuzz/corpus.
Prints executions, coverage and findings of each; ends with 1 when there was a finding."""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "tests" / "fuzz").glob("fuzz_*.c"))
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
FINDINGS = ("crash-*", "leak-*", "oom-*", "timeout-*", "slow-unit-*")
COMMITTED_BYTES_MAX = 4096  # a corpus is read in every test run and stands in the repository
# Of an input, in bytes. A dead letter's headers are looked through once for each name.
LENGTH_MAX = {"fuzz_headers": 1024, "fuzz_settings": 8192}
FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all",
         "-Iinclude", "-Icommon", "-Iworker", "-isystem", "/usr/include/postgresql"]
LIBRARIES = ["-ljson-c", "-luuid", "-lcrypto", "-linih", "-lpq"]


def build(source):
    """The program, with all of common/ and what the target's `// link:` lines name."""
    folder = ROOT / "build" / "fuzz" / source.stem
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    linked = " ".join(re.findall(r"^// link: (.*)$", source.read_text(), re.MULTILINE)).split()
    program = folder / "program"
    subprocess.run(["clang", *FLAGS, "-o", program, source, *linked, *sorted((ROOT / "common").glob("*.c")), *LIBRARIES],
                   cwd=ROOT, check=True)
    return program


def _run(program, *arguments, timeout_s):
    done = subprocess.run([program, *map(str, arguments)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout_s, check=False)
    (program.parent / "log").write_bytes(done.stdout)
    return done.returncode, done.stdout.decode(errors="replace")


def _last(pattern, text):
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def _findings(folder):
    return sorted(path for pattern in FINDINGS for path in folder.glob(pattern))


def fuzz(source, seconds):
    """A line for a person, and whether all was well."""
    try:
        program = build(source)
        folder = program.parent
        for finding in _findings(folder):  # of earlier runs
            finding.unlink()
        code, out = _run(program, f"-max_total_time={seconds}", "-timeout=10",
                         f"-max_len={LENGTH_MAX.get(source.stem, 65536)}", "-print_final_stats=1",
                         f"-artifact_prefix={folder}/", folder / "corpus", CORPUS / source.stem, timeout_s=seconds + 300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"{source.stem:<16} {error}", False
    findings = [finding.name for finding in _findings(folder)]
    executions = _last(r"^stat::number_of_executed_units: (\d+)", out)
    edges = _last(r" cov: (\d+)", out)
    features = _last(r" ft: (\d+)", out)
    text = (f"{source.stem:<16} {executions:>12,} executions  {edges:>5} edges  {features:>6} features  "
            f"{len(findings)} findings")
    if code != 0 or findings:
        text += f"; ended with {code}, see {folder.relative_to(ROOT)}: {' '.join(findings)}"
    return text, code == 0 and not findings and executions > 0


def merge(source):
    """Adds to the committed corpus what it lacks: inputs for each edge, or there would be thousands."""
    program = build(source)
    before = len(list((CORPUS / source.stem).iterdir()))
    code, _ = _run(program, "-set_cover_merge=1", "-use_counters=0", f"-max_len={COMMITTED_BYTES_MAX}", CORPUS / source.stem, program.parent / "corpus",
                   timeout_s=3600)
    after = len(list((CORPUS / source.stem).iterdir()))
    return f"{source.stem:<16} {before} inputs before, {after} now", code == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="; ".join(source.stem for source in SOURCES))
    parser.add_argument("--seconds", type=int, default=60, help="of fuzzing each target")
    parser.add_argument("--merge", action="store_true", help="extend the committed corpus with what was found")
    arguments = parser.parse_args()
    chosen = [source for source in SOURCES if not arguments.targets or source.stem in arguments.targets]
    passed = 0
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        run = merge if arguments.merge else lambda source: fuzz(source, arguments.seconds)
        for text, good in executor.map(run, chosen):
            print(text, flush=True)
            passed += good
    print(f"{passed} passed, {len(chosen) - passed} failed")
    return 0 if passed == len(chosen) > 0 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
