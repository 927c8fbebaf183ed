"""The patches: their heads, and how they are applied."""

import re

FAST_SUITES = ("unit", "golden", "property", "sim")
CHANGED_LINES_MAX = 2  # one line, and an #include it may need


class PatchError(Exception):
    """The patch is not what it should be."""


class Patch:
    """One NAME.patch."""

    def __init__(self, path):
        self.name = path.stem
        head, _, self.diff = path.read_text().partition("\n--- a/")
        self.fields = dict(re.findall(r"^(\w+): (.+)$", head, re.MULTILINE))
        for field in ("defence", "test"):
            if field not in self.fields:
                raise PatchError(f"{path.name} has no \"{field}:\" in its head")
        self.test = self.fields["test"]

    def is_fast(self):
        return self.test.split("/")[0] in FAST_SUITES and "slow" not in self.fields

    def changes(self, root):
        """(path, new text) of each file below the root that it changes."""
        for part in ("\n" + self.diff).split("\n--- a/"):
            name, _, body = part.strip("\n").partition("\n")
            path = root / name
            if not path.is_file():
                raise PatchError(f"does not apply: {name} is not there")
            yield path, _patched(path.read_text(), body, name)


def _patched(text, body, name):
    """The text with every hunk applied. Where a hunk goes is told by its lines, not by their numbers."""
    result = text
    added = 0
    for hunk in re.split(r"^@@.*\n", body + "\n", flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines()
        old = "".join(f"{line[1:]}\n" for line in lines if line[:1] in (" ", "-", ""))
        new = "".join(f"{line[1:]}\n" for line in lines if line[:1] in (" ", "+", ""))
        added += sum(line.startswith("+") for line in lines)
        if result.count(old) != 1:
            raise PatchError(f"does not apply: its lines are {result.count(old)} times in {name}")
        result = result.replace(old, new)
    if "".join(result.split()) == "".join(text.split()):
        raise PatchError(f"changes nothing in {name}")
    if added > CHANGED_LINES_MAX:
        raise PatchError(f"changes {added} lines")
    return result
