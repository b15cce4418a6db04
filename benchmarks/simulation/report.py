"""Writes what was simulated: the tables between the marks of docs/scaling.md, and its plot."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.simulation import prose
from benchmarks.simulation.grid import ENCODERS, POLICIES, SEEDS, UTILISATIONS
from benchmarks.simulation.plot import draw
from benchmarks.simulation.prose import Cells, percent, seconds, span
from benchmarks.simulation.service_times import ServiceTimes

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "scaling.md"
PLOT = DOCS / "images" / "queue-waits.svg"

Results = Mapping[str, Mapping[str, Any]]
"""By encoders and load, then by seed."""


def write(results: Results, times: ServiceTimes) -> None:
    """Write the page's generated parts and the plot."""
    PAGE.write_text(filled(PAGE.read_text(), results, times))
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    draw({f"{n} {u}": cell for n, u, cell in first_seed(results)}, PLOT)


def filled(page: str, results: Results, times: ServiceTimes) -> str:
    """Return the page with its generated parts written anew."""
    cells = first_seed(results)
    parts = {
        "summary": prose.summary(cells),
        "measured": measured_table(times),
        "service": prose.service(times),
        "policies": policies_table(cells),
        "reelay": reelay_table(cells),
        "seeds": seeds_table(results),
        "reading": prose.reading(cells),
        "found": prose.found(cells, times),
    }
    for name, lines in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        block = "\n".join(lines)
        page, count = re.subn(pattern, lambda m: m[1] + block + "\n" + m[2], page, flags=re.S)  # noqa: B023
        assert count == 1, name
    return page


def first_seed(results: Results) -> Cells:
    """Return the figures of the first seed, by encoders and load."""
    return [
        (n, u, found[str(SEEDS[0])]) for n, u, found in cells(results) if str(SEEDS[0]) in found
    ]


def cells(results: Results) -> Iterator[tuple[int, float, Mapping[str, Any]]]:
    """Yield what was simulated, by encoders and load."""
    for encoders in ENCODERS:
        for utilisation in UTILISATIONS:
            if found := results.get(f"{encoders} {utilisation}"):
                yield encoders, utilisation, found


def policies_table(cells: Cells) -> list[str]:
    """Return the table that compares the policies."""
    lines = [
        "| encoders | load (drawn) | policy | first frame p50 / p95 / p99 "
        "| queue wait p50 / p95 / p99 | whole ladder p50 / p95 / p99 | fairness |",
        "|---|---|---|---|---|---|---|",
    ]
    for encoders, utilisation, cell in cells:
        for policy in POLICIES:
            found = cell[policy]
            lines.append(
                f"| {encoders:,} | {utilisation} ({cell['offered']:.2f}) | {policy} "
                f"| {_three(found['first_frame'])} | {_three(found['queue'])} "
                f"| {_three(found['ready'])} | {_index(found)} |"
            )
    return lines


def reelay_table(cells: Cells) -> list[str]:
    """Return what only Reelay has, and how it treats those who come alone."""
    lines = [
        "| encoders | load | first frame, single uploads | ladder begins, owners with one video: "
        "Reelay | the same: whole files | a seek to where nothing is | viewers whose picture "
        "stopped | encoders killed | dispatch lock held, busiest hour |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for encoders, utilisation, cell in cells:
        ours, theirs = cell["reelay"], cell["whole files"]
        stopped = ours["stalls"] / max(1, ours["seeks"])
        lines.append(
            f"| {encoders:,} | {utilisation} | {_three(ours['first_frame_single'])} "
            f"| {_three(ours['first_work'])} | {_three(theirs['first_work'])} "
            f"| {_three(ours['seek'])} | {stopped:.1%} | {ours['killed']:,} "
            f"| {percent(ours['lock_share'])} |"
        )
    return lines


def seeds_table(results: Results) -> list[str]:
    """Return the range of the main medians over the seeds, where there are several."""
    lines = [
        "| encoders | load | seeds | first frame p50: "
        + " | ".join(POLICIES)
        + " | whole ladder p50: "
        + " | ".join(POLICIES)
        + " |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for encoders, utilisation, found in cells(results):
        if len(found) > 1:
            shown = [
                span(cell[policy][name]["p50"] for cell in found.values())
                for name in ("first_frame", "ready")
                for policy in POLICIES
            ]
            lines.append(
                f"| {encoders:,} | {utilisation} | {len(found)} | " + " | ".join(shown) + " |"
            )
    return lines


def measured_table(times: ServiceTimes) -> list[str]:
    """Return the measured service times."""
    rows: list[tuple[str, Callable[[int], float]]] = [
        ("opening: first segment and sound", lambda h: times.sources[h].first_segment_s),
        ("opening lane: the first 8 s", lambda h: times.sources[h].opening_s),
        ("a demanded segment: 4 s of the lowest rung", lambda h: times.sources[h].ondemand_s),
        ("a second of the lowest rung *", lambda h: times.sources[h].lowest_rate),
        ("before the first frame of another chunk *", lambda h: times.sources[h].fixed_s),
        ("16 s of the whole ladder *", lambda h: times.file_s(h, 16)),
        ("a minute of the whole ladder, in one go *", lambda h: times.file_s(h, 60)),
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
