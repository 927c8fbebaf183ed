"""Libraries that are preloaded into workers, to make happen what else hardly ever does."""

import subprocess
from contextlib import contextmanager

from .process import ROOT


def build(directory, name):
    """Compiles tests/lib/NAME.c into the directory; the library's path."""
    library = directory / f"{name}.so"
    subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o",
                    library, ROOT / "tests" / "lib" / f"{name}.c", "-ldl"], check=True)
    directory.chmod(0o755)
    return library


@contextmanager
def preloaded(library, pool, **environment):
    """Runs the pool with the library, and with more in its environment, which nothing else gets."""
    pool.variables.update({"LD_PRELOAD": str(library), **environment})
    pool.start()
    try:
        yield pool
    finally:
        pool.close()
