"""Draws the map of a package for a terminal: a row for each rendition, time along the width."""

import time
import unicodedata
from collections.abc import Sequence

from rich.text import Text

from reelay.cli import quantities
from reelay.cli.watch_cells import WAITS, WATCHES, WHOLE, flow, markers, shares, ticks
from reelay.cli.watch_map import PackageMap, Row
from reelay.common.commands import Lane

STORED = "green"
PROMISED = ("·", "bright_black")
VIEWERS = {WAITS: ("bold red", "viewer waits"), WATCHES: ("bold cyan", "viewer watches")}
LANES = {
    Lane.ONDEMAND: ("▓", "magenta"),
    Lane.OPENING: ("▒", "yellow"),
    Lane.LADDER: ("░", "blue"),
}
EIGHTHS = " ▏▎▍▌▋▊▉█"
STATES = {"planned": "yellow", "playable": "cyan", "ready": "green", "failed": "red"}
MIN_CELLS = 8
COUNTS_FROM_WIDTH = 60
"""Narrower terminals show no counts beside the rows."""
NEWS_LINES = 5
KEYS = "q or Ctrl-C leaves"
ASCII = str.maketrans("█▉▊▋▌▍▎▏▓▒░·▲●", "#=======!+-.^o")


def draw(
    known: PackageMap, width: int, height: int | None = None, *, keys: bool = True,
    ascii_only: bool = False,
) -> Text:  # fmt: skip
    """Return the picture, at most `width` columns wide.

    What matters least is left out when it would be taller than `height`.
    """
    width = max(width, 1)
    body = [*_head(known, width), Text(), *_map(known, width)]
    foot = [_keys()] if keys else []
    legend = _legend(known, width)
    room = height - len(body) - len(foot) if height is not None else len(legend) + 1 + NEWS_LINES
    if room >= len(legend):
        body += legend
        room -= len(legend)
    if room > 1 and known.news:
        foot = [Text(), *_news(known, min(room - 1, NEWS_LINES)), *foot]
    lines = [*body, *foot][:height]
    for line in lines:
        _fit(line, width, ascii_only=ascii_only)
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def _fit(line: Text, width: int, *, ascii_only: bool) -> None:
    if ascii_only:
        # One character for one, so that styles stay where they are.
        line.plain = line.plain.translate(ASCII).encode("ascii", "replace").decode()
    line.truncate(width, overflow="crop" if ascii_only else "ellipsis")


def _head(known: PackageMap, width: int) -> list[Text]:
    encoders = f"{known.encoders} encoder" + ("" if known.encoders == 1 else "s")
    pieces = [
        known.state,
        f"{quantities.percent(known.progress)} %",
        f"{known.stored}/{known.total} segments",
        encoders,
        *([] if known.elapsed_s is None else [quantities.duration(known.elapsed_s)]),
    ]
    lines = [Text(line) for line in flow(pieces, width)]
    lines[0].stylize(f"bold {STATES.get(known.state, '')}", 0, len(known.state))
    title = Text(_harmless(known.title), style="bold")
    reason = [Text(_harmless(known.reason), style="red")] if known.state == "failed" else []
    return [title, *lines, *reason]


def _map(known: PackageMap, width: int) -> list[Text]:
    names = [row.rendition.name for row in known.rows]
    counts = [f"{row.stored.bit_count()}/{row.total}" for row in known.rows]
    label = max(len(name) for name in ("viewers", *names)) + 1
    count = max((len(one) for one in counts), default=0) + 1 if width >= COUNTS_FROM_WIDTH else 0
    cells = max(MIN_CELLS, width - label - count)
    duration_s = known.package.duration_s or 1.0
    lines = []
    for row, name, stored in zip(known.rows, names, counts, strict=True):
        line = Text(f"{name:>{label - 1}} ", style="default")
        line.append_text(_cells(row, duration_s, cells))
        line.append(f"{stored:>{count}}" if count else "", style="bright_black")
        lines.append(line)
    viewers = Text(markers(known.viewers, duration_s, cells))
    for marker, (style, _) in VIEWERS.items():
        viewers.highlight_words([marker], style)
    lines.append(Text(f"{'viewers':>{label - 1}} ", style="default").append_text(viewers))
    lines.append(Text(" " * label + ticks(duration_s, cells), style="bright_black"))
    return lines


def _cells(row: Row, duration_s: float, cells: int) -> Text:
    promised = shares(row.rendition, row.rendition.whole, duration_s, cells)
    stored = shares(row.rendition, row.stored, duration_s, cells)
    lanes = [
        (lane, shares(row.rendition, row.encoding[lane], duration_s, cells))
        for lane in Lane
        if lane in row.encoding
    ]
    line = Text()
    for cell, whole in enumerate(promised):
        lane = next((lane for lane, filled in lanes if filled[cell] > 0), None)
        line.append(*_cell(stored[cell] / whole if whole else None, lane))
    return line


def _cell(share: float | None, lane: Lane | None) -> tuple[str, str]:
    """Return character and style: how much is stored, before what happens to the rest."""
    if share is None:
        return " ", ""
    if share >= WHOLE:
        return EIGHTHS[-1], STORED
    if share <= 1 - WHOLE:
        return LANES[lane] if lane else PROMISED
    behind = f" on {LANES[lane][1]}" if lane else ""
    return EIGHTHS[max(1, int(share * 8))], STORED + behind


def _legend(known: PackageMap, width: int) -> list[Text]:
    lanes = [(*LANES[lane], f"{lane} work") for lane in reversed(Lane)]
    watched = any(not viewer.waits for viewer in known.viewers)
    viewers = [(mark, *told) for mark, told in VIEWERS.items()] if watched else []
    lines: list[Text] = []
    for mark, style, meaning in (
        ("█", STORED, "stored"), *lanes, (*PROMISED, "promised"), *viewers
    ):  # fmt: skip
        entry = Text(mark, style).append(f" {meaning}", "bright_black")
        if lines and len(lines[-1]) + 2 + len(entry) <= width:
            lines[-1].append("  ").append_text(entry)
        else:
            lines.append(Text().append_text(entry))
    return lines


def _news(known: PackageMap, count: int) -> Sequence[Text]:
    """The newest last, as in a log."""
    lines = []
    for news in reversed(known.news[:count]):
        clock = time.strftime("%H:%M:%S", time.localtime(news.at))
        lines.append(
            Text(f"{clock} ", style="bright_black").append(_harmless(news.text), "default")
        )
    return lines


def _keys() -> Text:
    return Text(KEYS, style="bright_black")


def _harmless(text: str) -> str:
    """Return text from elsewhere as one line that cannot steer a terminal."""
    printable = (" " if unicodedata.category(one).startswith("C") else one for one in text)
    return " ".join("".join(printable).split())
