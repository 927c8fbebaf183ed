"""The Debian package: lintian finds nothing, and it installs, works and goes away without a trace.

It is installed into a copy of this system that exists in memory only (an overlay in a mount namespace)."""

import os
import re
import shutil
import subprocess

import pytest
from winnow_test.pool import run
from winnow_test.process import ROOT

IN_A_COPY = """
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount --bind /proc /mnt/root/proc
mount --bind /dev /mnt/root/dev
cat > /mnt/root/root/winnow.deb
chroot /mnt/root sh -euc "$0"
"""


def in_a_copy(script, stdin):
    return subprocess.run(["unshare", "--mount", "sh", "-euc", IN_A_COPY, script], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120, check=False)


@pytest.fixture(scope="module")
def package():
    """The path of the package, made anew. lintian has judged it: it would have failed."""
    if not (shutil.which("dh") and shutil.which("lintian")):
        pytest.skip("debhelper and lintian are not installed")
    version = run("--version", check=True).out.split()[1]
    done = subprocess.run(["bash", "worker/packaging/deb.sh", version, "build"], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
                          env={name: value for name, value in os.environ.items() if not name.startswith("WINNOW")})
    assert done.returncode == 0, done.stdout
    made = re.findall(r"^  (.*\.deb)$", done.stdout, re.MULTILINE)
    assert len(made) == 1
    return made[0]


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True).stdout.strip()


def test_it_says_what_it_is(package):
    assert field(package, "Version") == run("--version").out.split()[1]
    for library in ("librdkafka1", "libpq5", "libjson-c5", "libmicrohttpd12", "libinih1", "libssl3"):
        assert library in field(package, "Depends")


def test_it_holds_what_make_install_installs(package):
    listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    for path in ("./usr/bin/winnow", "./lib/systemd/system/winnow.service", "./lib/systemd/system/winnow@.service",
                 "./lib/systemd/system/winnow-console.service", "./lib/systemd/system/winnow-retain.service",
                 "./lib/systemd/system/winnow-retain.timer", "./usr/lib/sysusers.d/winnow.conf",
                 "./usr/share/man/man1/winnow.1.gz", "./usr/share/man/man5/winnow.conf.5.gz",
                 "./usr/share/bash-completion/completions/winnow", "./usr/share/zsh/site-functions/_winnow",
                 "./usr/share/fish/vendor_completions.d/winnow.fish", "./usr/share/doc/winnow/copyright"):
        assert f" {path}\n" in listed


def test_it_installs_works_and_goes(package):
    with open(package, "rb") as file:
        content = file.read()
    if in_a_copy("true", content).returncode != 0:
        pytest.skip("no overlay may be mounted here")
    done = in_a_copy("""
        dpkg -i /root/winnow.deb
        winnow --version
        stat -c '%A %U %G %n' /etc/winnow
        winnow config example > /etc/winnow/winnow.conf
        setpriv --reuid winnow --regid winnow --clear-groups winnow config check -c /etc/winnow/winnow.conf
        systemd-analyze verify --man=no winnow.service winnow@a.service winnow-console.service winnow-retain.timer
        test ! -e /etc/systemd/system/timers.target.wants/winnow-retain.timer
        test ! -e /etc/systemd/system/multi-user.target.wants/winnow.service
        rm /etc/winnow/winnow.conf
        dpkg -P winnow
        test ! -e /usr/bin/winnow
        test ! -e /etc/winnow
        echo gone
    """, content)
    told = done.stdout.decode()
    assert done.returncode == 0, told
    assert run("--version").out in told
    assert "drwxr-x--- root winnow /etc/winnow\n" in told
    assert "\nok\n" in told
    assert told.endswith("gone\n")
