"""Draws time along a width: shares of a cell, markers, ticks. Plain numbers and strings."""

from collections import Counter
from collections.abc import Iterable, Sequence

from reelay.cli import quantities
from reelay.cli.watch_map import Rendition, Viewer, runs

WHOLE = 1 - 1e-6
"""From here on a cell counts as full: sums of floating-point parts rarely reach 1."""
WAITS, WATCHES = "▲", "●"
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000)
TICK_CELLS = 10
"""Least distance of two ticks on the time axis, wide enough for `10:00:00`."""


def shares(rendition: Rendition, bits: int, duration_s: float, cells: int) -> list[float]:
    """Return which share 0..1 of the time of each cell a set of segments fills."""
    filled = [0.0] * cells
    for first, last in runs(bits):
        begin = rendition.start_s(first) * cells / duration_s
        end = min(cells, rendition.start_s(last + 1) * cells / duration_s)
        for cell in range(int(begin), min(cells, int(end) + 1)):
            filled[cell] += max(0.0, min(end, cell + 1) - max(begin, cell))
    return filled


def cell_of(position_s: float, duration_s: float, cells: int) -> int:
    """Return the cell in which a position lies."""
    return max(0, min(cells - 1, int(position_s * cells / duration_s + 1e-9)))


def markers(viewers: Iterable[Viewer], duration_s: float, cells: int) -> str:
    """Return a line of at most `cells` characters: where viewers wait or watch, and what.

    Where some wait, only these are told.
    """
    waiting: dict[int, Counter[str]] = {}
    watching: dict[int, Counter[str]] = {}
    for viewer in viewers:
        cell = cell_of(viewer.position_s, duration_s, cells)
        counts = (waiting if viewer.waits else watching).setdefault(cell, Counter())
        counts[viewer.rendition] += viewer.count
    line = [" "] * cells
    for cell in watching:
        line[cell] = WATCHES
    for cell in waiting:
        line[cell] = WAITS
        watching.pop(cell, None)
    for cell, counts in (waiting | watching).items():
        _place(line, cell, "+".join(_label(name, count) for name, count in counts.items()))
    return "".join(line).rstrip()


def ticks(duration_s: float, cells: int) -> str:
    """Return a line of at most `cells` characters with times under the cells where they are."""
    step_s = next((s for s in STEPS_S if s * cells >= TICK_CELLS * duration_s), STEPS_S[-1])
    line = ""
    for time_s in range(0, int(duration_s) + 1, step_s):
        cell, label = cell_of(time_s, duration_s, cells), quantities.clock(time_s)
        if cell >= len(line) + bool(line) and cell + len(label) <= cells:
            line = line.ljust(cell) + label
    return line


def flow(pieces: Sequence[str], width: int, separator: str = " · ") -> list[str]:
    """Return lines of at most `width` characters where the pieces fit; none is ever divided."""
    lines: list[str] = []
    for piece in pieces:
        joined = f"{lines[-1]}{separator}{piece}" if lines else piece
        if lines and len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(piece)
    return lines


def _label(rendition: str, count: int) -> str:
    return rendition if count == 1 else f"{rendition}({count})"


def _place(line: list[str], cell: int, label: str) -> None:
    """Write a label right or left of its marker, where it touches nothing else; else nowhere."""
    for begin in (cell + 1, cell - len(label)):
        end = begin + len(label)
        around = {*range(max(0, begin - 1), min(end + 1, len(line)))} - {cell}
        if begin >= 0 and end <= len(line) and all(line[place] == " " for place in around):
            line[begin:end] = label
            return
