"""The copy of the tree in which mutants live: built once, changed and put back again and again."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = "/usr/bin/python3"
COPIED = ("Makefile", "README.md", "common", "include", "migrations", "tests", "worker")
BUILT = ("obj", "generated", "libcommon.a", "flags", "sources", "migrations.c", "tests.mk", "winnow", "devbroker")
BUILD_TIMEOUT_S = 600
PROGRAM_TIMEOUT_S = 300
PYTEST_TIMEOUT_S = 420
SEED = "20240101"  # a mutant is caught by what a test looks for, not by the luck of a seed


def is_program(test):
    return ".py" not in test


def targets(test):
    """What has to be built for a test."""
    return [f"build/tests/{test.split('::')[0]}"] if is_program(test) else ["build/winnow", "build/devbroker"]


def put_back(path, data, stat):
    """The file as it was, its mode and its time of change included."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(stat.st_mode)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


class Room:
    """with Room(tests) as room: … — one at a time in a tree."""

    def __init__(self, tests):
        self.path = ROOT / "build" / "mutants"
        self.targets = sorted({target for test in tests for target in targets(test)})
        self.verdicts = {}  # of the tests without a patch
        self.pristine = {}  # what was built without a patch: path → (bytes, time of change)

    def __enter__(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        for name in COPIED:
            self._copy(ROOT / name, self.path / name)
        for name in (*BUILT, *(target[len("build/"):] for target in self.targets)):
            self._copy(ROOT / "build" / name, self.path / "build" / name)
        self._make(self.targets)
        for path in (self.path / "build").rglob("*"):
            if path.is_file():
                self.pristine[path] = (path.read_bytes(), path.stat())
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    @staticmethod
    def _copy(source, target):
        """With the times of change, on which make relies; what is not there is made anew."""
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)

    def _run(self, argv, timeout_s, **more):
        """The exit code (None: out of time) and the output. Nothing of it is left running then."""
        env = {name: value for name, value in os.environ.items()
               if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS") and not re.match(r"WINNOW_|PG[A-Z]+$", name)}
        with subprocess.Popen(argv, cwd=self.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**env, **more}, start_new_session=True) as process:
            try:
                out = process.communicate(timeout=timeout_s)[0]
                return process.returncode, out.decode(errors="replace")
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return None, ""

    def _make(self, names):
        """The version is left as it is: another one would only have files built again."""
        version = re.findall(r'"(.*)"', self._text("build/generated/version.h"))
        argument = [f"VERSION={version[0]}"] if version else []
        return self._run(["make", "CI=", *argument, *names], BUILD_TIMEOUT_S)[0] == 0

    def _text(self, name):
        path = self.path / name
        return path.read_text() if path.exists() else ""

    def build(self, test):
        return self._make(targets(test))

    @contextmanager
    def changed(self, patch):
        """Within, the tree has the patch; afterwards it is as if it never had, the times of change included."""
        changes = []
        try:
            for path, text in patch.changes(self.path):
                changes.append((path, path.read_bytes(), path.stat()))
                path.write_text(text)
            yield
        finally:
            for change in changes:
                put_back(*change)
            self._restore_build()

    def _restore_build(self):
        for path in list((self.path / "build").rglob("*")):
            if path.is_file() and path not in self.pristine:
                path.unlink()
        for path, (data, stat) in self.pristine.items():
            if not path.exists() or path.stat().st_mtime_ns != stat.st_mtime_ns:
                put_back(path, data, stat)

    def passes(self, test):
        """None when the test passes in the tree as it is, else what it does; asked once."""
        if test not in self.verdicts:
            self.verdicts[test] = self._judge(test)
        return None if self.verdicts[test] == "passed" else self.verdicts[test]

    def fails(self, test):
        """None when the test fails, else what it does instead."""
        found = self._judge(test)
        return None if found == "failed" else "survived" if found == "passed" else found

    def _judge(self, test):
        """"passed", "failed", or why neither can be said."""
        if is_program(test):
            program, _, name = test.partition("::")
            # By lines: a test that aborts must not take along what it has told.
            code, out = self._run(["stdbuf", "-oL", self.path / "build/tests" / program], PROGRAM_TIMEOUT_S, SEED=SEED)
            return judge_cunit(code, out, name)
        code, out = self._run([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{test}"],
                              PYTEST_TIMEOUT_S, PYTHONPATH=str(self.path / "tests/lib"), PYTHONDONTWRITEBYTECODE="1")
        return judge_pytest(code, out)


def judge_cunit(code, out, name):
    """What became of the test of that name; of the whole program without one. One that dies in it has failed."""
    if code is None:
        return "does not end"
    if not name:
        return "passed" if code == 0 else "failed"
    found = re.search(rf"^  Test: {re.escape(name)} \.\.\.(.*?)(?=^  Test: |^Run Summary|\Z)", out,
                      re.MULTILINE | re.DOTALL)
    if found is None:
        return "there is no such test" if code >= 0 else "died before the test"
    words = re.findall(r"passed$|FAILED$", found.group(1), re.MULTILINE)
    if words:
        return "failed" if "FAILED" in words else "passed"
    return "failed" if code < 0 else "the test does not tell"


def judge_pytest(code, out):
    if code is None:
        return "does not end"
    if code == 0:
        return "passed" if re.search(r"\d+ passed", out) else "is skipped"
    if code == 1 and re.search(r"\d+ failed", out):
        return "failed"
    return f"pytest ended with {code}, and not by a failing test"
