"""Draws docs/images/queue-waits.svg."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.simulation.grid import ENCODERS, POLICIES, UTILISATIONS
from benchmarks.simulation.workload import intensity

LOAD, FLEET = 0.8, 100
COLOURS = dict(zip(POLICIES, ("#0b6e4f", "#b23a48", "#e08e45"), strict=True))
TICKS = {0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36000: "10 h"}


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw four panels; text stays text, and equal results give equal files."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "reelay", "font.size": 9}):
        figure, axes = pyplot.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
        _by_encoders(axes[0][0], results, "first_frame", f"Time to first frame, load {LOAD}")
        _by_encoders(axes[0][1], results, "first_work", f"Wait of the ladder or file, load {LOAD}")
        _by_load(axes[1][0], results)
        _by_hour(axes[1][1], results)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _by_encoders(axes: Axes, results: Mapping[str, Any], name: str, title: str) -> None:
    known = [n for n in ENCODERS if f"{n} {LOAD}" in results]
    for policy, colour in COLOURS.items():
        for share, style in (("p50", "-"), ("p99", "--")):
            values = [results[f"{n} {LOAD}"][policy][name][share] for n in known]
            axes.plot(known, _shown(values), style, color=colour, marker=".",
                      label=f"{policy}, {share}")  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("encoders")
    _seconds(axes, title)


def _by_load(axes: Axes, results: Mapping[str, Any]) -> None:
    known = [u for u in UTILISATIONS if f"{FLEET} {u}" in results]
    for policy, colour in COLOURS.items():
        for share, style in (("p50", "-"), ("p99", "--")):
            values = [results[f"{FLEET} {u}"][policy]["first_frame"][share] for u in known]
            axes.plot(known, _shown(values), style, color=colour, marker=".")
    axes.set_xticks(known)
    axes.set_xlabel("load: work of the day ÷ what all encoders can do")
    _seconds(axes, f"Time to first frame, {FLEET} encoders")


def _by_hour(axes: Axes, results: Mapping[str, Any]) -> None:
    if f"{FLEET} {LOAD}" not in results:
        return
    for policy, colour in COLOURS.items():
        hourly = results[f"{FLEET} {LOAD}"][policy]["hourly"]
        axes.plot([hour + 0.5 for hour in range(24)], _shown(hourly), "-", color=colour, marker=".")
    load = axes.twinx()
    hours = [hour / 4 for hour in range(97)]
    load.plot(hours, [LOAD * intensity(hour * 3600) for hour in hours], ":", color="#888888")
    load.set_ylim(0, 3)
    load.set_ylabel("load that comes in (dotted)")
    axes.set_xlabel("hour of the day in which the upload ended")
    _seconds(axes, f"Median time to first frame, {FLEET} encoders, load {LOAD}")


def _shown(values: Sequence[float | None]) -> list[float]:
    """Return what a logarithmic axis can show: a tenth of a second stands for less."""
    return [float("nan") if value is None else max(0.1, value) for value in values]


def _seconds(axes: Axes, title: str) -> None:
    axes.set_yscale("log")
    axes.set_ylim(0.08, 200_000)
    axes.set_yticks(list(TICKS), list(TICKS.values()))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.set_title(title)
