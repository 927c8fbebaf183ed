"""Dockerfile, Compose file and Kubernetes manifests: against their schemas, and that what they name is there.

There is no container engine here: what runs inside (commands, settings, health checks) is run outside."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from winnow_test.console import Console
from winnow_test.poll import wait_until
from winnow_test.pool import BINARY, environment, run
from winnow_test.process import ROOT, free_port

TOOLS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "winnow/manifests-1"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "winnow"]
DOCKERFILE = (ROOT / "worker/Dockerfile").read_text(encoding="utf-8")
KUBERNETES = ROOT / "worker/packaging/kubernetes"
# What the base image has.
OF_THE_BASE = {"libc6", "libgcc-s1"}


def tool(name, *arguments):
    done = subprocess.run([TOOLS / "bin" / name, *map(str, arguments)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(TOOLS)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def documents(name):
    return {document["kind"]: document for document in yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8"))}


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("secret\n")
    return path


# ---- Dockerfile ----

def test_dockerfile_is_sound():
    assert tool("hadolint", "worker/Dockerfile") == (0, "")


def test_context_is_enough():
    """What the Dockerfile copies is in the context; with that alone make knows how to build and to install."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")}
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_context_builds(tmp_path):
    """As far as make gets without running a compiler."""
    for name in re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE):
        subprocess.run(["cp", "-r", ROOT / name, tmp_path], check=True)
    planned = subprocess.run(["make", "-n", "install", "VERSION=1.2.3", "DESTDIR=/installed", "PREFIX=/usr"], cwd=tmp_path,
                             capture_output=True, text=True, check=False,
                             env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")})
    assert planned.returncode == 0, planned.stderr
    assert "/usr/bin/winnow" in planned.stdout
    installed = re.search(r"--from=build /installed(\S+) ", DOCKERFILE)[1]
    assert installed == "/usr/bin/winnow"


def test_image_has_the_libraries():
    """Each library that the program is linked with comes with a package that the last stage installs."""
    wanted = re.findall(r"Shared library: \[(.+)\]", subprocess.run(["readelf", "-d", BINARY], capture_output=True, text=True,
                                                                      check=True).stdout)
    stage = DOCKERFILE.split("\nFROM ")[-1]
    linked = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=True).stdout
    for library in wanted:
        path = re.search(rf"{re.escape(library)} => (\S+)", linked)[1]
        # A library that lies in /lib for the linker is in /usr/lib for dpkg, or the other way round.
        found = subprocess.run(["dpkg", "-S", f"*/{Path(path).name}"], capture_output=True, text=True, check=True).stdout
        packages = {line.split(":")[0] for line in found.splitlines()}
        assert any(package in OF_THE_BASE or re.search(rf"\b{re.escape(package)}\b", stage) for package in packages), library


# ---- Compose ----

def test_compose_file_is_sound():
    assert tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")[0] == 0


def test_images_are_pinned():
    for name, service in SERVICES.items():
        assert service["image"] == "winnow" or re.search(r":v?\d+\.\d+", service["image"]), name


@pytest.mark.parametrize("name", OURS)
def test_ours_have_no_rights(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] == "10001:10001" and "--uid 10001" in DOCKERFILE
    assert not [variable for variable in service["environment"] if "PASSWORD" in variable and not variable.endswith("_FILE")]


def settings_of(service, secret):
    """Its variables, with secrets that are here."""
    return {name: str(secret) if str(value).startswith("/run/secrets/") else str(value)
            for name, value in service["environment"].items()}


@pytest.mark.parametrize("name", OURS)
def test_settings_are_accepted(name, secret):
    done = subprocess.run([BINARY, "config", "check"], capture_output=True, text=True, check=False,
                          env={**environment({}), **settings_of(SERVICES[name], secret)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


@pytest.mark.parametrize("name", [name for name in OURS if "entrypoint" not in SERVICES[name]])
def test_commands_are_accepted(name):
    """--help behind them: what stands before it has been read."""
    command = [str(part) for part in SERVICES[name]["command"]]
    assert run(*command, "--help").exit_code == 0
    assert run(*command, "--no-such-option", "--help").exit_code == 64


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_and_files_are_there(name):
    service = SERVICES[name]
    for secret in service.get("secrets", []):
        assert secret in COMPOSE["secrets"]
    named = re.findall(r"/run/secrets/(\w+)", yaml.safe_dump(service))
    assert set(named) <= set(service.get("secrets", []))
    for volume in service.get("volumes", []):
        assert not volume.startswith("./") or (ROOT / volume.split(":")[0]).exists(), volume


def test_secrets_stay_out_of_git():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    for secret in COMPOSE["secrets"].values():
        assert re.search(r":-\./(.+)}", secret["file"])[1] in ignored


def check_health(name, port):
    """The exit code of the service's health check, with another port."""
    test = SERVICES[name]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "bash", "-c"]
    script = re.sub(r"/127\.0\.0\.1/\d+", f"/127.0.0.1/{port}", test[3].replace("$$", "$"))
    return subprocess.run(["bash", "-c", script], stderr=subprocess.DEVNULL, check=False, timeout=60).returncode


def test_health_of_workers(stage, postgres):
    """Healthy when the pool is ready, ill before and when the database is gone."""
    port = free_port()
    assert check_health("worker", port) != 0
    with stage.pool(1, metrics_listen=f"127.0.0.1:{port}"):
        wait_until(lambda: check_health("worker", port) == 0, 90, "the worker is healthy")
        postgres.stop()
        wait_until(lambda: check_health("worker", port) != 0, 90, "the worker is ill")
        postgres.start()
        wait_until(lambda: check_health("worker", port) == 0, 90, "the worker is healthy again")
    assert SERVICES["worker"]["environment"]["WINNOW_METRICS_LISTEN"].endswith(":8078")
    assert "/127.0.0.1/8078" in SERVICES["worker"]["healthcheck"]["test"][3]


def test_health_of_the_console(stage):
    with Console(stage.settings) as console:
        assert check_health("console", console.port) == 0
        port = console.port
    assert check_health("console", port) != 0


def test_load_is_events(tmp_path):
    """What the profile "load" sends: events that are accepted, and some that are not."""
    (tmp_path / "winnow").write_text('#!/bin/sh\necho "$@" > arguments\nexec head -n 300 > events\n')
    (tmp_path / "winnow").chmod(0o755)
    script = SERVICES["load"]["command"][0].replace("${RATE:-100}", "400").replace("$$", "$")
    subprocess.run([*SERVICES["load"]["entrypoint"], script], cwd=tmp_path, check=False, timeout=30,
                   env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, stderr=subprocess.DEVNULL)
    arguments = shlex.split((tmp_path / "arguments").read_text())
    assert run(*arguments, "--help").exit_code == 0
    lines = (tmp_path / "events").read_bytes()
    told = run("explain", "--json", stdin=lines).out.splitlines()
    accepted = sum('"event_hash"' in line for line in told)
    assert len(told) == 300
    assert 200 < accepted < 300


def test_prometheus_looks_where_workers_answer():
    made = yaml.safe_load((ROOT / "worker/packaging/compose/prometheus.yml").read_text(encoding="utf-8"))
    found = made["scrape_configs"][0]["dns_sd_configs"][0]
    assert found["names"] == ["worker"] and "worker" in SERVICES
    assert SERVICES["worker"]["environment"]["WINNOW_METRICS_LISTEN"] == f"0.0.0.0:{found['port']}"


# ---- Kubernetes ----

def test_kubernetes_manifest_is_sound():
    code, told = tool("kubernetes-validate", "--strict", KUBERNETES / "winnow.yaml")
    assert code == 0, told


def test_kubernetes_settings_are_accepted(tmp_path, secret):
    text = documents("winnow.yaml")["ConfigMap"]["data"]["winnow.conf"]
    assert "ssl.ca.location = /etc/winnow/secrets/kafka-ca.pem\n" in text
    text = re.sub(r"/etc/winnow/secrets/[\w-]+(password)\b", str(secret), text)
    text = re.sub(r"^ssl\.ca\.location.*\n", "", text, flags=re.MULTILINE)  # the system's own list is there
    path = tmp_path / "winnow.conf"
    path.write_text(text)
    told = run("config", "check", "-c", path)
    assert (told.exit_code, told.out) == (0, "ok\n"), told


def test_kubernetes_parts_fit():
    parts = {**documents("winnow.yaml"), **documents("scaling.yaml")}
    pod = parts["Deployment"]["spec"]["template"]
    container = pod["spec"]["containers"][0]
    config = parts["ConfigMap"]["data"]["winnow.conf"]
    labels = pod["metadata"]["labels"]
    for selector in (parts["Deployment"]["spec"]["selector"], parts["PodDisruptionBudget"]["spec"]["selector"]):
        assert selector["matchLabels"].items() <= labels.items()
    port = container["ports"][0]
    assert f"metrics_listen = 0.0.0.0:{port['containerPort']}\n" in config
    probes = {name: probe["httpGet"] for name, probe in container.items() if name.endswith("Probe")}
    assert probes == {"readinessProbe": {"path": "/readyz", "port": port["name"]},
                      "livenessProbe": {"path": "/livez", "port": port["name"]}}  # what waits for a server is not killed
    scaled = parts["ScaledObject"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == parts["Deployment"]["metadata"]["name"]
    trigger = scaled["triggers"][0]
    assert trigger["authenticationRef"]["name"] == parts["TriggerAuthentication"]["metadata"]["name"]
    for name, setting in (("topic", "topic"), ("consumerGroup", "group"), ("bootstrapServers", "brokers")):
        assert f"{setting} = {trigger['metadata'][name]}\n" in config
    for args in (container["args"], parts["Job"]["spec"]["template"]["spec"]["containers"][0]["args"]):
        assert run(*args[:1], "--help").exit_code == 0
        assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {args[-1]}
