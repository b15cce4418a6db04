"""CPU time of the whole pipeline for one film ÷ that of one plain FFmpeg of the same ladder.

Both run at the same time: where cores are shared with strangers, the same work takes a quarter more
CPU time in one quarter of an hour than in another, so runs one after the other cannot be compared.
The pipeline takes twice as long for it, and pays for its services' ticking all that time.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx

from benchmarks.machine import Figure
from benchmarks.plain import ladder
from benchmarks.runs import Runs
from benchmarks.sources import everyday_film, film, long_film, unlike_others
from benchmarks.system import System, running, upload, wait_for_plan, wait_for_state

TARGET = 1.20
LONG_TARGET = 1.12


def measure(runs: Runs, seconds: int = 60) -> Iterator[Figure]:
    """Measure the pairs that are missing among `runs`."""
    yield from _measure(runs, film(seconds), f"{seconds} s with grain", TARGET)


def measure_long(runs: Runs, seconds: int = 1200) -> Iterator[Figure]:
    """Measure the pairs that are missing among `runs`, with a film of low complexity."""
    yield from _measure(runs, long_film(seconds), f"{seconds} s of low complexity", LONG_TARGET)


def measure_everyday(runs: Runs, seconds: int = 1200) -> Iterator[Figure]:
    """Measure the pairs that are missing among `runs`, with a film as people upload it."""
    yield from _measure(runs, everyday_film(seconds), f"{seconds} s, everyday", LONG_TARGET)


def _measure(runs: Runs, source: Path, kind: str, target: float) -> Iterator[Figure]:
    if runs.missing:
        with running() as system, system.client() as client:
            while runs.missing:
                ours, theirs = _pair(system, client, source)
                runs.add(reelay=ours, plain=theirs)
                pair = f"{ours:.1f} ÷ {theirs:.1f} CPU-s = {ours / theirs:.3f}"
                print(f"pair {runs.made}: {pair}", file=sys.stderr, flush=True)
    name = f"1080p25, {kind}, whole ladder"
    ratios = runs.ratios("reelay", "plain")
    ratio = Figure(f"{name}: Reelay ÷ plain FFmpeg", "CPU ratio", ratios, f"p50 ≤ {target:.2f}")
    yield Figure(f"{name}: Reelay, all processes", "CPU s", runs.column("reelay"))
    yield Figure(f"{name}: plain FFmpeg", "CPU s", runs.column("plain"))
    yield replace(ratio, holds=ratio.median <= target)


def _pair(system: System, client: httpx.Client, source: Path) -> tuple[float, float]:
    """Return the CPU time in seconds of the pipeline and of one plain FFmpeg beside it."""
    before = system.cpu_s()
    sent = upload(client, source, "cpu", unlike_others())
    package_id = wait_for_plan(client, sent.video_id)["package_id"]
    recipe = client.get(f"/api/v1/content/{package_id}/plan.json").json()["recipe"]
    with ladder(source, recipe) as plain:
        video = wait_for_state(client, sent.video_id, "ready")
        if video["state"] != "ready":
            raise RuntimeError(video["reason"])
        return system.cpu_s() - before, plain.cpu_s()
