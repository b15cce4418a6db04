"""GET of a segment of the lowest rung at a random position that nobody encoded → received."""

import random
import time
from dataclasses import replace
from typing import Any

import httpx

from benchmarks.first_segment import wait_until_idle
from benchmarks.machine import Figure
from benchmarks.plain import segment_s
from benchmarks.sources import everyday_film, film, unlike_others
from benchmarks.system import running, upload, wait_for_state

P50_S, BUSY_P50_S, RATIO = 2.0, 3.0, 1.3
FILM_S = 1200
STEADY_FRAMES = 100
RAMP_SEGMENTS, RAMP_FRAMES = 3, 100
"""The first three segments are together as long as one of all others."""


def measure(runs: int = 10, *, busy: bool = False) -> list[Figure]:
    """Measure `runs` positions; `busy` while all cores encode other films."""
    ours: list[float] = []
    places: list[int] = []
    source = everyday_film(FILM_S)
    with running() as system, system.client() as client:
        others = [upload(client, film(60), f"other {n}", unlike_others()) for n in range(3 * busy)]
        sent = upload(client, source, "seek", unlike_others())
        video = wait_for_state(client, sent.video_id, "playable")
        base = f"/api/v1/content/{video['package_id']}"
        recipe: dict[str, Any] = client.get(f"{base}/plan.json").json()["recipe"]
        folder = system.store / "packages" / video["package_id"]
        numbers = iter(random.Random(7).sample(range(30, FILM_S // 4), FILM_S // 4 - 30))
        while len(ours) < runs:
            number = next(numbers)
            if (folder / f"video/360p/{number}.m4s").exists():
                continue
            ours.append(_get_s(client, f"{base}/video/360p/{number}.m4s"))
            places.append((number - RAMP_SEGMENTS - 1) * STEADY_FRAMES + RAMP_FRAMES)
        for other in (*others, sent):
            video_id = other.video_id
            client.delete(f"/api/v1/videos/{video_id}").raise_for_status()
        if busy:
            figure = Figure("seek to where nothing is, beside other films", "s", ours)
            limit = f"p50 ≤ {BUSY_P50_S}"
            return [replace(figure, target=limit, holds=figure.median <= BUSY_P50_S)]
        wait_until_idle(system)
        theirs = [segment_s(source, recipe, first, STEADY_FRAMES) for first in places]
    figure = Figure("seek to where nothing is", "s", ours)
    ratio = Figure("seek: ratio of the two", "", [a / b for a, b in zip(ours, theirs, strict=True)])
    return [
        replace(figure, target=f"p50 ≤ {P50_S}", holds=figure.median <= P50_S),
        Figure("seek: by hand for the same", "s", theirs),
        replace(ratio, target=f"≤ {RATIO}", holds=ratio.median <= RATIO),
    ]


def _get_s(client: httpx.Client, path: str) -> float:
    began = time.monotonic()
    while (answer := client.get(path)).status_code == 503:
        continue
    answer.raise_for_status()
    return time.monotonic() - began
