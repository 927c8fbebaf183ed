"""The parts of the console's page that compute, by node's own runner; each of its tests is one here."""

import subprocess

from winnow_test.process import ROOT

FILE = "tests/console/page/parts.test.mjs"


def test_parts_of_the_page():
    done = subprocess.run(["node", "--test", "--test-reporter=tap", FILE], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "# pass 0\n" not in done.stdout, done.stdout
