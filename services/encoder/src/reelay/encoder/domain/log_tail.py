"""Keeps of FFmpeg's log what a person needs, and reads from it how far the source reached."""

import re
from collections import deque

TAIL_LINES = 20
SHOWN_FRAME = re.compile(r"^\[Parsed_showinfo_\d+ @ \w+\] \[info\] n: *\d+ pts: *(-?\d+) ")
NOTHING_DECODED = re.compile(
    r"Cannot determine format of input \S+ after EOF|Could not open encoder before EOF"
)
SHOWINFO = re.compile(r"^\[Parsed_showinfo_\d+ @ \w+\] ")


class LogTail:
    """The end of one FFmpeg's log.

    The filter `showinfo` writes a line for each frame that the source itself gave, before a held
    last frame is added; these lines are counted and not kept.
    """

    def __init__(self) -> None:
        self.last_source_frame: int | None = None
        """Frame number on the planned grid of the last frame that was not held."""
        self.nothing_decoded = False
        """Whether a stream gave neither a frame nor its format, which FFmpeg takes for an error."""
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, line: str) -> None:
        """Take one line."""
        if shown := SHOWN_FRAME.match(line):
            self.last_source_frame = int(shown[1])
        elif line.strip() and not SHOWINFO.match(line):
            self.nothing_decoded |= NOTHING_DECODED.search(line) is not None
            self._lines.append(line.rstrip()[:500])

    def text(self) -> str:
        """Return the last lines."""
        return "\n".join(self._lines)
