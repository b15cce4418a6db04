"""Writes what was simulated: the tables between the marks of docs/scaling.md, and its plot."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.simulation.grid import ENCODERS, POLICIES, UTILISATIONS
from benchmarks.simulation.plot import draw
from benchmarks.simulation.service_times import ServiceTimes

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "scaling.md"
PLOT = DOCS / "images" / "queue-waits.svg"

Results = Mapping[str, Any]


def write(results: Results, times: ServiceTimes) -> None:
    """Write the page's generated parts and the plot."""
    page = PAGE.read_text()
    parts = {
        "measured": measured_table(times),
        "policies": policies_table(results),
        "reelay": reelay_table(results),
    }
    for name, lines in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        block = "\n".join(lines)
        page, count = re.subn(pattern, lambda m: m[1] + block + "\n" + m[2], page, flags=re.S)  # noqa: B023
        assert count == 1, name
    PAGE.write_text(page)
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    draw(results, PLOT)


def cells(results: Results) -> Iterator[tuple[int, float, Mapping[str, Any]]]:
    """Yield what was simulated, by encoders and load."""
    for encoders in ENCODERS:
        for utilisation in UTILISATIONS:
            if found := results.get(f"{encoders} {utilisation}"):
                yield encoders, utilisation, found


def policies_table(results: Results) -> list[str]:
    """Return the table that compares the policies."""
    lines = [
        "| encoders | load (drawn) | policy | first frame p50 / p95 / p99 "
        "| queue wait p50 / p95 / p99 | whole ladder p50 / p95 / p99 | fairness |",
        "|---|---|---|---|---|---|---|",
    ]
    for encoders, utilisation, cell in cells(results):
        for policy in POLICIES:
            found = cell[policy]
            lines.append(
                f"| {encoders:,} | {utilisation} ({cell['offered']:.2f}) | {policy} "
                f"| {_three(found['first_frame'])} | {_three(found['queue'])} "
                f"| {_three(found['ready'])} | {_index(found)} |"
            )
    return lines


def reelay_table(results: Results) -> list[str]:
    """Return what only Reelay has, and how it treats those who come alone."""
    lines = [
        "| encoders | load | first frame, single uploads | ladder begins, owners with one video: "
        "Reelay | the same: whole files | a seek to where nothing is | viewers whose picture "
        "stopped | encoders killed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for encoders, utilisation, cell in cells(results):
        ours, theirs = cell["reelay"], cell["whole files"]
        stopped = ours["stalls"] / max(1, ours["seeks"])
        lines.append(
            f"| {encoders:,} | {utilisation} | {_three(ours['first_frame_single'])} "
            f"| {_three(ours['first_work'])} | {_three(theirs['first_work'])} "
            f"| {_three(ours['seek'])} | {stopped:.1%} | {ours['killed']:,} |"
        )
    return lines


def measured_table(times: ServiceTimes) -> list[str]:
    """Return the measured service times."""
    rows: list[tuple[str, Callable[[int], float]]] = [
        ("opening: first segment and sound", lambda h: times.sources[h].first_segment_s),
        ("opening lane: the first 8 s", lambda h: times.sources[h].opening_s),
        ("before the first frame of another chunk", lambda h: times.sources[h].fixed_s),
        ("16 s of the whole ladder", lambda h: times.file_s(h, 16)),
        ("4 s of the lowest rung", lambda h: times.sources[h].fixed_s
         + 4 * times.sources[h].lowest_rate),
        ("a minute of the whole ladder, in one go", lambda h: times.file_s(h, 60)),
    ]  # fmt: skip
    lines = [
        "| one encoder, seconds | " + " | ".join(f"{h}p" for h in times.sources) + " |",
        "|---|" + "---|" * len(times.sources),
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{value(h):.2f}" for h in times.sources) + " |"
        for name, value in rows
    ]
    return lines


def _three(found: Mapping[str, float | None]) -> str:
    return " / ".join(seconds(found[share]) for share in ("p50", "p95", "p99"))


def _index(found: Mapping[str, Any]) -> str:
    return "" if found["fairness"] is None else f"{found['fairness']:.2f}"


def seconds(value: float | None) -> str:
    """Return a time as people read it."""
    if value is None:
        return "none"
    if value < 100:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
