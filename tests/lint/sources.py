"""Which files there are, and what they include."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("include", "common", "worker", "tests")
SEARCH_FOLDERS = ("include", "worker", "common")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def all_files():
    """Every file of the project that git does not ignore, as paths from the root."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True,
                            stdout=subprocess.PIPE).stdout.decode()
    return sorted(path for path in listed.split("\0") if path and (ROOT / path).is_file())


def c_files(folders=LAYERS, suffixes=(".c", ".h")):
    return [path for path in all_files() if path.split("/")[0] in folders and path.endswith(suffixes)]


def text_of(path):
    return (ROOT / path).read_text(errors="replace")


def own_includes(path):
    """Paths of the project's headers that a file includes; generated ones are left out."""
    found = []
    for name in (own for own, _ in INCLUDE.findall(text_of(path)) if own):
        for folder in (str(Path(path).parent), *SEARCH_FOLDERS):
            if (ROOT / folder / name).is_file():
                found.append(str((ROOT / folder / name).resolve().relative_to(ROOT)))
                break
    return found


def foreign_includes(path):
    return [foreign for _, foreign in INCLUDE.findall(text_of(path)) if foreign]
