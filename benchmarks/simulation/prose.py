"""Writes those sentences of docs/scaling.md that name figures: they follow from its tables."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.simulation.service_times import ServiceTimes

MANY = 100
"""From so many encoders on, fleets are called large here."""
WIDTH = 110

Cell = Mapping[str, Any]
Cells = Sequence[tuple[int, float, Cell]]
"""Encoders, load and figures of one seed."""
Figure = Callable[[Cell], float | None]


def seconds(value: float | None) -> str:
    """Return a time as people read it."""
    if value is None:
        return "none"
    if value < 100:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def percent(value: float) -> str:
    """Return a share as people read it."""
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def index(value: float) -> str:
    """Return Jain's index as people read it."""
    return f"{value:.2f}"


def span(values: Iterable[float | None], show: Callable[[float], str] = seconds) -> str:
    """Return the least and the most of what is known, as people read a range."""
    known = [value for value in values if value is not None]
    if not known:
        return "none"
    ends = dict.fromkeys(show(value) for value in (min(known), max(known)))
    return " to ".join(ends)


def of(policy: str, name: str, share: str) -> Figure:
    """Return what reads a quantile of a policy from a cell."""
    return lambda cell: cell[policy][name][share]


def summary(cells: Cells) -> list[str]:
    """Return what the simulation says, in short."""
    ours, files, lowest = (
        of(policy, "first_frame", "p50")
        for policy in ("reelay", "whole files", "lowest rung first")
    )
    longer = sum((lowest(cell) or 0) > (files(cell) or 0) for _, _, cell in cells)
    text = (
        f"Half of all uploads play {span(ours(c) for _, _, c in cells)} after their last byte, "
        "over all sizes and loads of the fleet."
    )
    if large := [c for n, _, c in cells if n >= MANY]:
        slowest = span([max(of("reelay", "first_frame", "p99")(c) or 0 for c in large)])
        text += f" With {MANY} encoders or more 99 % do within {slowest}."
    text += (
        f" With a queue of whole files the median is {span(files(c) for _, _, c in cells)}, and "
        "one upload in twenty waits longer than "
        f"{seconds(min(of('whole files', 'first_frame', 'p95')(c) or 0 for _, _, c in cells))} "
        "in each of the cells: a file's ladder is made by one worker. Making the lowest rung first "
        f"in a pass of its own gives medians of {span(lowest(c) for _, _, c in cells)}, longer "
        f"than those of whole files in {longer} of {len(cells)} cells: "
        "its pass waits behind ladders."
    )
    return wrapped(text)


def service(times: ServiceTimes) -> list[str]:
    """Return what else was measured, and how the times come together."""
    idle_s = times.plan_s + times.hops_s + times.sources[1080].first_segment_s
    return wrapped(
        f"One encoder: {times.machine}; {times.encoder_threads} threads. Last byte → opening "
        f"chunk in the queue: {times.plan_s:.2f} s. A packaging call takes "
        f"{1000 * times.packaging_call_s:.0f} ms and {1000 * times.packaging_segment_s:.0f} ms a "
        f"segment, further messages and storage {1000 * times.hops_s:.0f} ms. A decision holds the "
        f"dispatch lock for {1000 * times.dispatch_base_s:.1f} ms and "
        f"{1e6 * times.dispatch_package_s:.0f} µs for each unfinished package "
        f"({times.dispatch_measured}). For a 1080p upload to an idle system that makes "
        f"{idle_s + times.packaging_s(2):.2f} s until its first frame."
    )


def reading(cells: Cells) -> list[str]:
    """Return how the tables are to be read, where figures are named."""
    small = min(n for n, _, _ in cells)
    p95 = [of("reelay", "first_frame", "p95")(c) for n, _, c in cells if n == small]
    single = [of("reelay", "first_frame_single", "p95")(c) for _, _, c in cells]
    sooner = _beats(cells, of("reelay", "ready", "p50"), of("whole files", "ready", "p50"))
    later = _beats(cells, of("whole files", "ready", "p99"), of("reelay", "ready", "p99"))
    return bullets(
        f"With {_encoders(small)} one upload in twenty takes {span(p95)} or longer until its first "
        "frame. Those are the bursts: one owner sends ten or a hundred films at once, and their "
        "openings go one after another. Everybody else's is in the second table: 19 of 20 single "
        f"uploads play within {span([max(v or 0 for v in single)])} in every cell.",
        "The queue wait of Reelay is that of a ladder chunk; meanwhile the film plays, as far as "
        "its opening and what is demanded go. That of the other policies is the wait for "
        "anything at all.",
        f"The median of the whole ladder is shorter with Reelay than with whole files in {sooner} "
        f"of {len(cells)} cells, as all encoders share a film; its 99th percentile is longer in "
        f"{later}: a burst's last film shares its turns with newcomers. Fair turns move waiting "
        "from those who sent one video to those who sent a hundred.",
    )


def found(cells: Cells, times: ServiceTimes) -> list[str]:
    """Return what the simulation found."""
    by_size = [("with " + _encoders(n), [c for m, _, c in cells if m == n])
               for n in sorted({n for n, _, _ in cells})]  # fmt: skip
    return bullets(
        _fairness(cells),
        _seeks(cells, times),
        "The picture stops for " + "; ".join(
            f"{span((c['reelay']['stalls'] / max(1, c['reelay']['seeks']) for c in some), percent)}"
            f" of the viewers {name}" for name, some in by_size) + ".",
        "The dispatch lock is held in its busiest hour for " + "; ".join(
            f"{span((c['reelay']['lock_share'] for c in some), percent)} of the time {name}"
            for name, some in by_size) + ".",
        "Each encoder is killed once a day on the average. What it was at is delivered again and "
        "made anew, for as long as it takes; the percentiles contain these delays.",
    )  # fmt: skip


def _fairness(cells: Cells) -> str:
    fair = {
        policy: span((c[policy]["fairness"] for _, _, c in cells), index)
        for policy in ("reelay", "whole files")
    }
    work = of("reelay", "first_work", "p50"), of("whole files", "first_work", "p95")
    return (
        f"Turns by owner hold: where owners compete, Jain's index is {fair['reelay']}, against "
        f"{fair['whole files']} for files in order of arrival. An owner with one video has the "
        "first of its ladder chunks at work after "
        f"{span(work[0](c) for _, _, c in cells)} at the median; behind whole files the 95th "
        f"percentile is {span(work[1](c) for _, _, c in cells)}."
    )


def _seeks(cells: Cells, times: ServiceTimes) -> str:
    slow = [f"{height}p" for height, source in times.sources.items() if source.lowest_rate > 1]
    said = (
        "A seek to where nothing is takes "
        f"{span(of('reelay', 'seek', 'p50')(c) for _, _, c in cells)} at the median and "
        f"{span(of('reelay', 'seek', 'p95')(c) for _, _, c in cells)} at the 95th percentile, most "
        "of it decoding from the source's keyframe before and encoding 4 s."
    )
    if not slow:
        return said
    return said + (
        f" The lowest rung of {' and '.join(slow)} sources is made more slowly than it plays, "
        "and one encoder makes what runs ahead of a viewer: there only faster encoders keep "
        "the picture from stopping."
    )


def bullets(*lines: str) -> list[str]:
    """Return a list's lines."""
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
    ]


def wrapped(text: str) -> list[str]:
    """Return a paragraph's lines."""
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False)


def _beats(cells: Cells, one: Figure, other: Figure) -> int:
    """Return in how many cells one figure is less than another."""
    return sum((one(cell) or 0) < (other(cell) or 0) for _, _, cell in cells)


def _encoders(count: int) -> str:
    return "one encoder" if count == 1 else f"{count:,} encoders"
