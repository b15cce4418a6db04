"""Measures what the simulation needs on this machine: `python -m benchmarks.simulation.calibrate`.

The encoder's and the packager's own adapters run the real FFmpeg and Shaka Packager; the overhead
of messages and storage is taken from uploads to a whole running system, and that of decisions from
the packager's dispatcher. Some minutes; writes `service_times.json`, unless other programs use the
processors meanwhile: then it says so and its exit status is 1. With --dispatch only the decisions
are measured, and all else is kept.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.encoding import plan_of, transcoder
from benchmarks.first_segment import wait_until_idle
from benchmarks.machine import describe
from benchmarks.quiet import BusyMachineError, Sample, measured, refuse_if_busy
from benchmarks.simulation.decisions import dispatch_times
from benchmarks.simulation.service_times import (
    MEASURED,
    ServiceTimes,
    SourceTimes,
    as_document,
    source_times,
)
from benchmarks.simulation.workload import SIZES
from benchmarks.sources import CACHE, film, unlike_others
from benchmarks.system import running
from benchmarks.viewer import watch_upload
from reelay.common.commands import Lane
from reelay.common.testing.media import Media, ffmpeg_binary, shaka_binary
from reelay.encoder.domain.cutting import EncodedSegment
from reelay.packager.adapters.shaka import RawSegment, ShakaPackager
from reelay.packager.domain.chunks import Chunk
from reelay.packager.domain.plan import Plan
from reelay.packager.domain.tasks import encode_task

FILM_S, CLIP_S = 60, 20
STEADY = 5
"""First segment of chunks elsewhere. It begins 3 s behind a keyframe, which is about as much as on
the average of films with a keyframe every 5 s, with half a second of pre-roll."""
OPENING_SEGMENTS = 4
"""Of the opening lane's chunk that is measured: 8 s, so that rates show."""
QUICK = 5
"""Ladders of so many renditions are measured for 8 s, larger ones for 4 s."""
CALLS = (2, 4, 16)
UPLOADS = 5


def source(height: int) -> Path:
    """Return 20 s of the benchmark film in a size, with grain of that size."""
    if height == 1080:
        return film(FILM_S)
    width = height * 16 // 18 * 2
    return Media(CACHE).make(
        ["-i", str(film(FILM_S)), "-t", str(CLIP_S), "-vf",
         f"scale={width}:{height},noise=alls=4:allf=t:all_seed=7", "-c:v", "libx264",
         "-preset", "superfast", "-crf", "20", "-g", "125", "-keyint_min", "125",
         "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "copy", "-movflags", "+faststart"],
        "mp4",
    )  # fmt: skip


class Bench:
    """Measures chunks of one source as an encoder makes them."""

    def __init__(self, path: Path, plan: Plan, samples: list[Sample]) -> None:
        assert plan.source.video is not None
        self._transcoder = transcoder(path)
        self._path = path
        self._plan = plan
        self._name = f"{min(plan.source.video.width, plan.source.video.height)}p"
        self._samples = samples
        self.threads = self._transcoder.machine.threads
        self.segments: list[EncodedSegment] = []

    async def chunk(self, chunk: Chunk) -> Sample:
        """Make a chunk; the sample's marks tell when each segment was whole."""
        task = encode_task(UUID(int=0), "0" * 64, self._plan, chunk, "source", 1)

        async def work(marks: list[float]) -> None:
            self.segments = []
            async for segment in self._transcoder.transcode(task):
                self.segments.append(segment)
                marks.append(time.monotonic())

        name = f"{self._name}: {chunk.lane} {'+'.join(chunk.renditions)} {chunk.first}-{chunk.last}"
        sample = await measured(name, work)
        self._samples.append(sample)
        return sample

    async def times(self) -> SourceTimes:
        """Measure the chunks from which all others are told.

        See `source_times`; a chunk elsewhere begins with decoding from the keyframe before it.
        """
        lowest_names = tuple(r.name for r in self._plan.opening)
        opening = Chunk(Lane.OPENING, "software", lowest_names, 1, OPENING_SEGMENTS)
        first = await self.chunk(opening)
        seen: dict[str, float] = {}
        for segment, mark in zip(self.segments, first.marks_s, strict=True):
            seen.setdefault(segment.rendition, mark)
        demanded = await self.chunk(Chunk(Lane.ONDEMAND, "software", lowest_names, STEADY, STEADY))
        whole = tuple(r.name for r in self._plan.renditions)
        last = STEADY + (1 if len(whole) <= QUICK else 0)
        ladder = await self.chunk(Chunk(Lane.LADDER, "software", whole, STEADY, last))
        return source_times(
            first_segment_s=max(seen.values()),
            opening_s=first.wall_s,
            ondemand_s=demanded.wall_s,
            ladder_s=ladder.wall_s,
            ladder_of=4 * (last - STEADY + 1),
            decode_rate=await self._decode_rate(),
        )

    async def _decode_rate(self) -> float:
        """Return the seconds that decoding takes per second of video."""
        argv = [ffmpeg_binary(), "-v", "error", "-threads", str(self.threads), "-t", "8",
                "-i", str(self._path), "-map", "0:v:0", "-f", "null", "-"]  # fmt: skip

        async def work(marks: list[float]) -> None:
            process = await asyncio.create_subprocess_exec(*argv)
            assert await process.wait() == 0

        sample = await measured(f"{self._name}: decoding 8 s", work)
        self._samples.append(sample)
        return sample.wall_s / 8


async def packaging(segments: list[EncodedSegment], samples: list[Sample]) -> tuple[float, float]:
    """Return what a call of Shaka Packager costs by itself, and each segment in it."""
    shaka = ShakaPackager(shaka_binary())
    walls = []
    with tempfile.TemporaryDirectory() as folder:
        raw = []
        for i, segment in enumerate(segments):
            path = Path(folder) / f"{i}.mp4"
            path.write_bytes(segment.data)
            raw.append(RawSegment(path, "audio" if segment.rendition == "audio" else "video"))
        for count in CALLS:
            batch = [raw[i % len(raw)] for i in range(count)]

            async def work(marks: list[float], batch: list[RawSegment] = batch) -> None:
                await shaka.package(batch)

            tries = [await measured(f"packaging {count} segments", work) for _ in range(3)]
            samples += tries
            walls.append(statistics.median(sample.wall_s for sample in tries))
    segment_s = max(0.0, walls[-1] - walls[0]) / (CALLS[-1] - CALLS[0])
    return walls[0] - CALLS[0] * segment_s, segment_s


def through_the_system() -> tuple[float, float]:
    """Return the least times of a system: last byte → plan, and → first segment and sound served.

    The least, as others may use the machine at the same time.
    """
    planned, served = [], []
    with running() as system, system.client() as client:
        for number in range(UPLOADS):
            title = f"calibration {number}"
            sight = watch_upload(system, client, film(FILM_S), title, unlike_others())
            planned.append(sight.planned_s)
            served.append(sight.seen_s)
            client.delete(f"/api/v1/videos/{sight.video['id']}").raise_for_status()
            wait_until_idle(system)
    return min(planned), min(served)


async def encoders(samples: list[Sample]) -> tuple[dict[int, SourceTimes], int, float, float]:
    """Measure all sizes, and the packager with segments of the common one."""
    sources: dict[int, SourceTimes] = {}
    threads, call_s, segment_s = 0, 0.0, 0.0
    for height in SIZES:
        path = source(height)
        bench = Bench(path, await plan_of(path), samples)
        threads = bench.threads
        sources[height] = await bench.times()
        if height == 1080:
            call_s, segment_s = await packaging(bench.segments, samples)
        print(height, sources[height], *samples[-5:], sep="\n", flush=True)
        refuse_if_busy(samples)
    return sources, threads, call_s, segment_s


def everything() -> dict[str, Any]:
    """Measure encoders, packaging, a whole system and decisions; return what is to be written."""
    samples: list[Sample] = []
    sources, threads, call_s, segment_s = asyncio.run(encoders(samples))
    planned_s, served_s = through_the_system()
    rest_s = served_s - sources[1080].first_segment_s - (call_s + 2 * segment_s)
    plan_s = max(0.0, min(planned_s, rest_s))
    dispatch = decisions(samples)
    times = ServiceTimes(
        machine=describe(),
        encoder_threads=threads,
        plan_s=plan_s,
        hops_s=max(0.0, rest_s - plan_s),
        packaging_call_s=call_s,
        packaging_segment_s=segment_s,
        dispatch_base_s=dispatch["base"],
        dispatch_package_s=dispatch["per_package"],
        dispatch_measured=dispatch["measured"],
        sources=sources,
    )
    return {
        "measured_at": now(),
        "idle_system": {"planned_s": round(planned_s, 3), "first_segment_s": round(served_s, 3)},
        "dispatch_s": dispatch,
        "model": as_document(times),
        "samples": [sample.document() for sample in samples],
    }


def decisions(samples: list[Sample]) -> dict[str, Any]:
    """Measure how long the dispatch lock is held for a decision."""
    base_s, package_s, medians = asyncio.run(dispatch_times(samples))
    refuse_if_busy(samples)
    return {
        "base": round(base_s, 5),
        "per_package": round(package_s, 8),
        "measured": f"measured {now()}",
        "medians_s": {str(count): round(median, 5) for count, median in medians.items()},
    }


def now() -> str:
    """Return the time as the file shows it."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def main() -> None:
    """Measure and write; refuse on a busy machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulation.calibrate", description=__doc__
    )
    parser.add_argument("--dispatch", action="store_true", help="measure the decisions only")
    try:
        if parser.parse_args().dispatch:
            document = json.loads(MEASURED.read_text()) | {"dispatch_s": decisions([])}
        else:
            document = everything()
    except BusyMachineError as error:
        sys.exit(str(error))
    MEASURED.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
