"""GET of a segment of the lowest rung, and its sound, at a random position that nobody encoded."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import httpx

from benchmarks.first_segment import wait_until_idle
from benchmarks.machine import Figure
from benchmarks.plain import segment_s
from benchmarks.sources import everyday_film, film, unlike_others
from benchmarks.system import System, running, upload, wait_for_state

P50_S, BUSY_P50_S, RATIO = 2.0, 3.0, 1.3
FILM_S = 1200
STEADY_FRAMES = 100
RAMP_SEGMENTS, RAMP_FRAMES = 3, 100
"""The first three segments are together as long as one of all others."""
FIRST, LAST = 30, FILM_S // 4
"""Positions: after what an opening makes."""
OTHERS = 3


def measure(runs: int = 10) -> list[Figure]:
    """Measure `runs` positions, each in a film just uploaded.

    Right at its first segment, while the opening is being made; in another when the opening alone
    is made; and by hand with FFmpeg and Shaka Packager: one after the other.
    """
    at_once: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    source = everyday_film(FILM_S)
    with running() as system, system.client() as client, _Seeker(system) as seeker:
        for number, position in enumerate(_positions(runs)):
            for opened, times in ((False, at_once), (True, ours)):
                sent = upload(client, source, f"seek {number} {opened}", unlike_others())
                video = wait_for_state(client, sent.video_id, "playable")
                while opened and not _is_opened(system.store / "packages" / video["package_id"]):
                    time.sleep(0.02)
                times.append(seeker.seek_s(video["package_id"], position))
                path = f"/api/v1/content/{video['package_id']}/plan.json"
                recipe: dict[str, Any] = client.get(path).json()["recipe"]
                system.forget(client, sent.video_id)
                wait_until_idle(system)
            first = (position - RAMP_SEGMENTS - 1) * STEADY_FRAMES + RAMP_FRAMES
            theirs.append(segment_s(source, recipe, first, STEADY_FRAMES))
    return [
        Figure("seek: by hand, picture and sound", "s", theirs),
        *_beside("seek while the opening is made", at_once, theirs),
        *_beside("seek to where nothing is, with its sound", ours, theirs),
    ]


def _beside(name: str, ours: list[float], theirs: list[float]) -> Iterator[Figure]:
    """Yield what was measured, and what it is to the same by hand."""
    figure = Figure(name, "s", ours)
    ratio = Figure(f"{name} ÷ by hand", "", [a / b for a, b in zip(ours, theirs, strict=True)])
    yield replace(figure, target=f"p50 ≤ {P50_S}", holds=figure.median <= P50_S)
    yield replace(ratio, target=f"p50 ≤ {RATIO}", holds=ratio.median <= RATIO)


def measure_busy(runs: int = 10) -> list[Figure]:
    """Measure `runs` positions of one film while all cores encode others.

    Raises RuntimeError when these are encoded before the last position is there.
    """
    ours: list[float] = []
    with running() as system, system.client() as client, _Seeker(system) as seeker:
        others = [upload(client, film(60), f"other {n}", unlike_others()) for n in range(OTHERS)]
        sent = upload(client, everyday_film(FILM_S), "seek", unlike_others())
        package_id = wait_for_state(client, sent.video_id, "playable")["package_id"]
        folder = system.store / "packages" / package_id
        for position in _positions(LAST - FIRST):
            if not (folder / f"video/360p/{position}.m4s").exists():
                ours.append(seeker.seek_s(package_id, position))
            if len(ours) == runs:
                break
        states = [client.get(f"/api/v1/videos/{each.video_id}").json()["state"] for each in others]
        if "playable" not in states:
            raise RuntimeError(f"the other films are encoded: {states}")
        for each in (*others, sent):
            client.delete(f"/api/v1/videos/{each.video_id}").raise_for_status()
    figure = Figure("seek to where nothing is, beside other films", "s", ours)
    return [replace(figure, target=f"p50 ≤ {BUSY_P50_S}", holds=figure.median <= BUSY_P50_S)]


def _positions(count: int) -> list[int]:
    """Return numbers of segments, the same in each run."""
    return random.Random(7).sample(range(FIRST, LAST), count)


def _is_opened(package: Path) -> bool:
    """Tell whether an opening is stored; asking for it over HTTP would let more run ahead."""
    names = [f"video/360p/{RAMP_SEGMENTS}.m4s", f"audio/main/{RAMP_SEGMENTS}.m4s"]
    return all((package / name).exists() for name in names)


class _Seeker:
    """A player that goes to a position: it asks for picture and sound over two connections."""

    def __init__(self, system: System) -> None:
        self._stack = ExitStack()
        self._clients = [self._stack.enter_context(system.client()) for _ in range(2)]
        self._threads = self._stack.enter_context(ThreadPoolExecutor(2))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def seek_s(self, package_id: str, number: int) -> float:
        """Return the time until a segment of the lowest rung and its sound were there."""
        names = (f"video/360p/{number}.m4s", f"audio/main/{number}.m4s")
        paths = [f"/api/v1/content/{package_id}/{name}" for name in names]
        began = time.monotonic()
        list(self._threads.map(_get, self._clients, paths))
        return time.monotonic() - began


def _get(client: httpx.Client, path: str) -> None:
    while (answer := client.get(path)).status_code == 503:
        continue
    answer.raise_for_status()
