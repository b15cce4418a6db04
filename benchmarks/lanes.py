"""How long the first segment takes beside a ladder chunk that yields the CPU, in several ways.

The encoder's own transcoder makes the opening work: 1 s of 360p and its sound out of a 1080p film.
Meanwhile the ladder makes 1080p, 720p and 480p of the same film: in the same encoder, which pauses
it, or as an FFmpeg that yields in another way.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.encoding import local_source, plan_of, transcoder
from benchmarks.machine import Figure
from benchmarks.quiet import Sample, measured
from benchmarks.sources import film
from reelay.common.commands import EncodeChunk, Lane
from reelay.common.tasks import end
from reelay.common.testing.media import ffmpeg_binary
from reelay.encoder.adapters.ffmpeg import NICE, FFmpegTranscoder
from reelay.encoder.domain.command import ffmpeg_arguments
from reelay.encoder.domain.precedence import Rank
from reelay.packager.domain.chunks import Chunk
from reelay.packager.domain.plan import Plan
from reelay.packager.domain.tasks import encode_task

QUEUED = 3
WARM_S = 1.0
"""How long a ladder chunk runs before opening work comes: it is past its start-up then."""
LADDER = ("480p", "720p", "1080p")
FIRST, LAST = 5, 8
"""Segments of the ladder chunk: 16 s of film, which take longer than any opening work beside it."""
HIGH, LOW = NICE[Rank.OPENING], NICE[Rank.LADDER]
RATIO = 1.25

Way = Callable[[int], None]
"""Lowers the priority of a process, given its id."""


def _priority(pid: int, nice: int, autogroup: int) -> None:
    """Set the nice value of a process, and of the kernel's group for its session (sched(7))."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)
    with suppress(FileNotFoundError):  # kernels without autogroups
        Path(f"/proc/{pid}/autogroup").write_text(str(autogroup))


def _idle(pid: int) -> None:
    _priority(pid, 0, HIGH)
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))


ALONE = "alone"
PAUSED = "ladder paused by the encoder"
WAYS: dict[str, Way] = {
    "beside a ladder chunk of the same priority": lambda pid: _priority(pid, HIGH, HIGH),
    f"ladder at nice {LOW - HIGH} below": lambda pid: _priority(pid, LOW, HIGH),
    f"ladder at nice {LOW - HIGH} below, its autogroup too": lambda pid: _priority(pid, LOW, LOW),
    "ladder under SCHED_IDLE": _idle,
}


@dataclass(frozen=True)
class _Film:
    path: Path
    plan: Plan

    def task(self, chunk: Chunk) -> EncodeChunk:
        """Return a chunk as the packager asks for it."""
        return encode_task(UUID(int=0), "0" * 64, self.plan, chunk, "source", 1)

    def opening(self) -> EncodeChunk:
        """Return the first segment of the lowest rung and its sound."""
        renditions = tuple(each.name for each in self.plan.opening)
        return self.task(Chunk(Lane.OPENING, "software", renditions, 1, 1))

    def ladder(self) -> EncodeChunk:
        """Return a chunk of all other rungs."""
        return self.task(Chunk(Lane.LADDER, "software", LADDER, FIRST, LAST))


async def _make(encoder: FFmpegTranscoder, task: EncodeChunk) -> None:
    async for _ in encoder.transcode(task):
        pass


async def _make_by_hand(encoder: FFmpegTranscoder, film: _Film, way: Way) -> None:
    """Make the ladder chunk with the encoder's command line, in a session of its own."""
    task = film.ladder()
    nowhere = dict.fromkeys(LADDER, "file:/dev/null")
    arguments = ffmpeg_arguments(task, local_source(film.path), nowhere, encoder.machine)
    process = await asyncio.create_subprocess_exec(
        *(ffmpeg_binary(), "-y", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        way(process.pid)
        await asyncio.sleep(WARM_S / 2)
        way(process.pid)  # its threads have begun
        await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ladder work for the block; raise RuntimeError when it was done too early."""
    ladder = asyncio.create_task(work)
    try:
        await asyncio.sleep(WARM_S)
        yield
        if ladder.done():
            raise RuntimeError(f"the ladder chunk ended before opening work: {ladder}")
    finally:
        await end(ladder)


async def _sample(film: _Film, name: str, count: int) -> Sample:
    """Measure the time until the last of `count` opening chunks is made, one after another."""

    async def openings(encoder: FFmpegTranscoder, marks: list[float]) -> None:
        marks.append(time.monotonic())
        for _ in range(count):
            await _make(encoder, film.opening())
        marks.append(time.monotonic())

    async def work(marks: list[float]) -> None:
        encoder = transcoder(film.path)
        if name == ALONE:
            await openings(encoder, marks)
            return
        paused = name == PAUSED
        ladder = (
            _make(encoder, film.ladder()) if paused else _make_by_hand(encoder, film, WAYS[name])
        )
        async with _beside(ladder):
            await openings(encoder, marks)

    return await measured(name, work)


def _opening_s(sample: Sample) -> float:
    began, ended = sample.marks_s
    return ended - began


async def _samples(runs: int) -> dict[tuple[int, str], list[Sample]]:
    path = film(30)
    source = _Film(path, await plan_of(path))
    found: dict[tuple[int, str], list[Sample]] = {}
    for _ in range(runs):
        for count in (1, QUEUED):
            for name in (ALONE, *WAYS, PAUSED):
                found.setdefault((count, name), []).append(await _sample(source, name, count))
    return found


def measure(runs: int = 10) -> Iterator[Figure]:
    """Measure every way `runs` times, alternating, for one opening chunk and for several."""
    found = asyncio.run(_samples(runs))
    for (count, name), samples in found.items():
        yield Figure(f"{_what(count)}; {name}", "s", [_opening_s(sample) for sample in samples])
    for count in (1, QUEUED):
        yield _ratio(count, found[count, PAUSED], found[count, ALONE])
    foreign = [sample.foreign_cores for samples in found.values() for sample in samples]
    yield Figure("processors that others used meanwhile", "cores", foreign)


def _ratio(count: int, beside: list[Sample], alone: list[Sample]) -> Figure:
    ratios = [_opening_s(a) / _opening_s(b) for a, b in zip(beside, alone, strict=True)]
    figure = Figure(f"{_what(count)}; {PAUSED} ÷ {ALONE}", "", ratios, f"p50 ≤ {RATIO}")
    return replace(figure, holds=figure.median <= RATIO)


def _what(count: int) -> str:
    return "first 1 s of 360p and sound" if count == 1 else f"{count} of them queued"
