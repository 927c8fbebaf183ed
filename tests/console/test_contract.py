"""schemathesis asks everything that openapi.json allows, much that it does not, and compares the answers with it.

    SEED=7 EXAMPLES=100 /usr/bin/python3 -m pytest tests/console/test_contract.py      # other requests, and more"""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from winnow_test.process import make_directory, remove_directory

HERE = Path(__file__).parent
CONTRACT = HERE.parents[1] / "worker/console/openapi.json"
# tests/lib/deps.sh installs it.
PACKAGE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "winnow" / "schemathesis-4.32.5"
SEED = os.environ.get("SEED", "1")
EXAMPLES = os.environ.get("EXAMPLES", "10")
TOKEN = "operator-5d1c0f7e92ab"
TIMEOUT_S = 900


@pytest.fixture
def directory():
    made = make_directory("contract")
    yield made
    remove_directory(made)


def contract_without_faults(directory):
    """Where failures may not be simulated the header that asks for them says nothing."""
    contract = json.loads(CONTRACT.read_text())
    contract["components"]["parameters"]["simulate"]["schema"] = {"type": "string"}
    path = directory / "without_faults.json"
    path.write_text(json.dumps(contract))
    return path


def contract_with_tokens(directory):
    """Where tokens are given they are needed."""
    path = directory / "with_tokens.json"
    path.write_text(json.dumps({**json.loads(CONTRACT.read_text()), "security": [{"token": []}]}))
    return path


def find_faults(console, contract, *arguments):
    """Runs schemathesis against the console; what it wrote when it found any, else None."""
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run", contract,
         "--url", console.address, "--seed", SEED, "--max-examples", EXAMPLES, "--checks", "all", "--no-color", *arguments],
        env={**os.environ, "PYTHONPATH": f"{PACKAGE}:{HERE}", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False)
    print(done.stdout)
    return None if done.returncode == 0 else f"ended with {done.returncode}\n{done.stdout}"


def test_the_contract_is_kept(stage, make_console, directory):
    """On a loopback address without tokens, and with them: simulated failures included, while workers work."""
    tokens = directory / "tokens"
    tokens.write_text(f"o operator {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    stage.send(*({"client": f"client_{n % 3}", "metric": "sale", "amount": n % 20} for n in range(60)),
               *({"client": f"client_{n % 3}", "amount": n} for n in range(20)), b"{", None, partition=0)
    with stage.pool(workers=1, arguments=["--allow-fault-injection"]), ThreadPoolExecutor() as threads:
        stage.wait_until_caught_up()
        free = make_console(stage)
        guarded = make_console(stage, "--token-file", tokens, "--allow-fault-injection")
        found = [threads.submit(find_faults, free, contract_without_faults(directory)),
                 threads.submit(find_faults, guarded, contract_with_tokens(directory), "-H", f"Authorization: Bearer {TOKEN}")]
        assert [each.result() for each in found] == [None, None], f"seed {SEED}"
        assert [console.get("/livez").status for console in (free, guarded)] == [200, 200]
