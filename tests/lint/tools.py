"""What other programs find: formatting, static analysis, shell scripts, the compose file, words."""

import os
import re
import subprocess

import yaml

from sources import ROOT, all_files, c_files, text_of

# Each is put together, so that this file does not hold it.
WORDS = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")
PLACES = ("../sha" + "red/", "/wo" + "rk/", "localho" + "st:3128")
NOT_TEXT = ("tests/fuzz/corpus/", "LICENSE")

# Suppressed: what the compiler and the sanitizers see better, and cppcheck guesses at.
CPPCHECK = ["cppcheck", "--std=c11", "--enable=warning,performance,portability", "--inline-suppr", "--quiet",
            "--error-exitcode=1", "--library=gnu", "--library=posix", "-Iinclude", "-Iworker", "-Icommon",
            "--suppress=missingIncludeSystem", "--suppress=normalCheckLevelMaxBranches",
            "--suppress=uninitvar",
            "--suppress=ctuuninitvar", "--suppress=invalidFunctionArg", "--template={file}:{line}: {id}: {message}"]


def _run(argv):
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def check_format():
    """clang-format leaves every C file as it is"""
    code, lines = _run(["clang-format", "--dry-run", "-Werror", *c_files()])
    if code != 0:
        found = [line for line in lines if "error:" in line] or lines
        yield from found[:20]
        yield f"{len(found)} places; run: make format"


def check_cppcheck():
    """cppcheck finds nothing"""
    build = ROOT / "build" / "cppcheck"
    build.mkdir(parents=True, exist_ok=True)
    code, lines = _run([*CPPCHECK, f"-j{os.cpu_count()}", f"--cppcheck-build-dir={build}",
                        *c_files(("common", "worker"), (".c",))])
    if code != 0:
        yield from lines


def check_shell():
    """shellcheck finds nothing"""
    scripts = [path for path in all_files() if path.endswith(".sh")
               or not path.startswith(NOT_TEXT) and re.match(r"#!/bin/(ba)?sh", text_of(path))]
    code, lines = _run(["shellcheck", *scripts])
    if code != 0:
        yield from lines


def check_words():
    """nothing is left for later, and no file speaks of the place it was written in"""
    words = re.compile(r"\b(" + "|".join(WORDS) + r")\b|" + "|".join(map(re.escape, PLACES)))
    for path in all_files():
        if path.startswith(NOT_TEXT) or path.endswith(".png"):
            continue
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if words.search(line):
                yield f"{path}:{number}: {line.strip()[:100]}"


def check_python():
    """every Python file compiles"""
    for path in all_files():
        if path.endswith(".py") or path == "tests/run":
            try:
                compile(text_of(path), path, "exec")
            except SyntaxError as error:
                yield f"{path}:{error.lineno}: {error.msg}"


def check_compose():
    """docker-compose.yml names only services, volumes and secrets that exist, and waits for healthy ones"""
    compose = yaml.safe_load(text_of("docker-compose.yml"))
    services = compose["services"]
    for name, service in services.items():
        if not {"image", "build"} & service.keys():
            yield f"{name}: neither an image nor a build"
        for other, how in service.get("depends_on", {}).items():
            if other not in services:
                yield f"{name} depends on {other}, which is not there"
            elif how["condition"] == "service_healthy" and "healthcheck" not in services[other]:
                yield f"{name} waits for {other} to be healthy, which has no health check"
        for secret in service.get("secrets", []):
            if secret not in compose.get("secrets", {}):
                yield f"{name}: unknown secret {secret}"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if not source.startswith((".", "/")) and source not in compose.get("volumes", {}):
                yield f"{name}: unknown volume {source}"
        for path in (volume.split(":")[0] for volume in service.get("volumes", [])):
            if path.startswith("./") and not (ROOT / path).exists():
                yield f"{name}: {path} is not there"
