"""CPU time of the whole pipeline for one film ÷ that of one plain FFmpeg of the same ladder.

Both run at the same time: where cores are shared with strangers, the same work takes a quarter more
CPU time in one quarter of an hour than in another, so runs one after the other cannot be compared.
The pipeline takes twice as long for it, and pays for its services' ticking all that time.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import Figure
from benchmarks.plain import ladder
from benchmarks.sources import film, long_film, unlike_others
from benchmarks.system import running, upload, wait_for_plan, wait_for_state

TARGET = 1.15
LONG_TARGET = 1.12


def measure(seconds: int = 60, runs: int = 1) -> Iterator[Figure]:
    """Measure `runs` pairs."""
    yield from _measure(film(seconds), seconds, runs, TARGET)


def measure_long(seconds: int = 1200, runs: int = 1) -> Iterator[Figure]:
    """Measure `runs` pairs with a film of low complexity."""
    yield from _measure(long_film(seconds), seconds, runs, LONG_TARGET)


def _measure(source: Path, seconds: int, runs: int, target: float) -> Iterator[Figure]:
    ratios, ours, theirs = [], [], []
    with running() as system, system.client() as client:
        for number in range(runs):
            before = system.cpu_s()
            sent = upload(client, source, f"cpu {number}", unlike_others())
            package_id = wait_for_plan(client, sent.video_id)["package_id"]
            recipe = client.get(f"/api/v1/content/{package_id}/plan.json").json()["recipe"]
            with ladder(source, recipe) as plain:
                video = wait_for_state(client, sent.video_id, "ready")
                if video["state"] != "ready":
                    raise RuntimeError(video["reason"])
                ours.append(system.cpu_s() - before)
                theirs.append(plain.cpu_s())
            ratios.append(ours[-1] / theirs[-1])
            pair = f"{ours[-1]:.1f} ÷ {theirs[-1]:.1f} CPU-s = {ratios[-1]:.3f}"
            print(f"pair {number + 1}: {pair}", file=sys.stderr, flush=True)
    name = f"{seconds} s of 1080p25, whole ladder"
    ratio = Figure(f"{name}: Reelay ÷ plain FFmpeg", "CPU ratio", ratios, f"≤ {target}")
    yield Figure(f"{name}: Reelay, all processes", "CPU s", ours)
    yield Figure(f"{name}: plain FFmpeg", "CPU s", theirs)
    yield replace(ratio, holds=ratio.median <= target)
