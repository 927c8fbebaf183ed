"""What the demo prints: colours on a terminal only (and not with NO_COLOR), the counters in one line that is
written over there, and now and then as a line of its own elsewhere."""

import os
import shutil
import sys
import time

PLAIN_LINE_EVERY_S = 1.0
LIVE_LINE_EVERY_S = 0.1


class Screen:
    def __init__(self, out=sys.stdout):
        self._out = out
        self.is_terminal = out.isatty() and os.environ.get("TERM") != "dumb"
        self._has_colour = self.is_terminal and "NO_COLOR" not in os.environ
        self._begun = time.monotonic()
        self._last_live = 0.0
        self._is_live_shown = False

    def start_clock(self):
        self._begun = time.monotonic()

    def _coloured(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self._has_colour else text

    def bold(self, text):
        return self._coloured("1", text)

    def dim(self, text):
        return self._coloured("2", text)

    def good(self, text):
        return self._coloured("32", text)

    def bad(self, text):
        return self._coloured("31;1", text)

    def warm(self, text):
        return self._coloured("33", text)

    def line(self, text=""):
        self._clear_live()
        print(text, file=self._out, flush=True)

    def title(self, text):
        self.line()
        self.line(self.bold(text))

    def event(self, text):
        """Something that happened, with its time on the demo's clock."""
        self.line(self.warm(f"{time.monotonic() - self._begun:5.1f} s  {text}"))

    def live(self, text, at_once=False):
        """The counters. On a terminal over the last ones, elsewhere a line a second."""
        now = time.monotonic()
        wait = LIVE_LINE_EVERY_S if self.is_terminal else PLAIN_LINE_EVERY_S
        if not at_once and now - self._last_live < wait:
            return
        self._last_live = now
        shown = f"{now - self._begun:5.1f} s  {text}"
        if self.is_terminal:
            width = shutil.get_terminal_size().columns
            print(f"\r\x1b[2K{shown[:width - 1]}", end="", file=self._out, flush=True)
            self._is_live_shown = True
        else:
            print(shown, file=self._out, flush=True)

    def keep_live(self):
        """Leaves the counters standing."""
        if self._is_live_shown:
            print(file=self._out, flush=True)
            self._is_live_shown = False

    def _clear_live(self):
        if self._is_live_shown:
            print("\r\x1b[2K", end="", file=self._out, flush=True)
            self._is_live_shown = False

    def table(self, head, rows, indent="  "):
        """Numbers to the right, the rest to the left."""
        texts = [[str(cell) if not isinstance(cell, int) else f"{cell:,}" for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in [list(head), *texts]) for column in range(len(head))]
        is_number = [all(_is_number(row[column]) for row in texts) for column in range(len(head))]

        def laid_out(cells):
            return indent + "   ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(cells, widths, is_number)).rstrip()

        self.line(self.dim(laid_out(head)))
        for row in texts:
            self.line(laid_out(row))


def _is_number(text):
    return text.replace(",", "").replace(".", "").replace("-", "").isdigit()
