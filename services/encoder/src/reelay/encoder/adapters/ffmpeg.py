"""The transcoder: FFmpeg makes the segments of a chunk, one process for all its renditions."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from reelay.common.commands import EncodeChunk
from reelay.common.errors import TransientError
from reelay.common.source_input import SourceInput, nothing_can_fail
from reelay.common.tasks import end
from reelay.encoder.adapters.lane_gate import LaneGate, Seat
from reelay.encoder.adapters.pipes import OutputPipes
from reelay.encoder.adapters.process import FFmpegProcess, Limits, running
from reelay.encoder.domain.command import (
    Machine,
    check_task,
    ffmpeg_arguments,
)
from reelay.encoder.domain.cutting import AudioCutter, Cutter, EncodedSegment, VideoCutter
from reelay.encoder.domain.errors import FFmpegFailedError
from reelay.encoder.domain.precedence import Rank, rank_after, rank_of
from reelay.encoder.domain.remainder import has_both, remainder, runs

READ_BYTES = 256 * 1024
QUEUED_SEGMENTS = 8
HELD_TOLERANCE_S = 0.5
"""A last frame held shorter than this is how files end, and no damage."""
LOG_DELAY_S = 0.05
NICE = {Rank.ONDEMAND: 0, Rank.OPENING: 2, Rank.OPENED: 2, Rank.AHEAD: 5, Rank.LADDER: 10}
"""Weights 1024, 655, 335 and 110 (sched(7)): what ranks are to each other across several encoders
of one machine, and in a lower one's turn. Within one encoder they yield by pausing
(docs/decisions/0005).
"""
HELD = "The source ends early or is damaged: its last picture is held."
BLACK = "The source could not be decoded here: black and silence instead."

log = structlog.get_logger()

Pump = tuple[asyncio.StreamReader, Cutter]
"""What FFmpeg writes to one output, and what cuts it."""


class Sources(Protocol):
    """Where FFmpeg can read an object."""

    def open(self, key: str) -> AbstractAsyncContextManager[SourceInput]:
        """Make an object readable for the block; raise ObjectMissingError when there is none."""
        ...


@dataclass
class _Rest:
    """Tasks that are still to be made."""

    parts: list[EncodeChunk] = field(default_factory=list)

    def take(self) -> list[EncodeChunk]:
        parts, self.parts = self.parts, []
        return parts


@dataclass(frozen=True)
class FFmpegTranscoder:
    """Makes chunks with the FFmpeg at `program`."""

    program: str
    machine: Machine
    limits: Limits
    sources: Sources
    lanes: LaneGate

    async def transcode(self, task: EncodeChunk) -> AsyncGenerator[EncodedSegment]:
        """See handlers.Transcoder."""
        begun = set[str]()
        with self.lanes.seat(rank_of(task)) as seat:
            await seat.turn()
            for part in runs(task):
                async with aclosing(self._transcode(seat, part)) as segments:
                    async for segment in segments:
                        yield segment
                        begun.add(segment.rendition)
                        self.lanes.move(seat, rank_after(task, begun))

    async def _transcode(self, seat: Seat, task: EncodeChunk) -> AsyncGenerator[EncodedSegment]:
        if not task.audio_segments:  # a last segment may be too short for a frame of sound
            task = task.model_copy(update={"audio_rendition": None})
        check_task(task)
        rest = _Rest([task])
        async with self.sources.open(task.source.key) as source:
            for _ in range(2 if has_both(task) else 1):  # what is left of one may come alone
                async with aclosing(self._make(seat, rest, source)) as segments:
                    async for segment in segments:
                        yield segment
        if rest.parts:
            log.warning("black and silence", task_id=str(task.task_id))
        async with aclosing(self._make(seat, rest, None)) as segments:
            async for segment in segments:
                yield replace(segment, warnings=(BLACK,))
        if rest.parts:
            raise FFmpegFailedError("FFmpeg made not even black pictures and silence.", "")

    async def _make(
        self, seat: Seat, rest: "_Rest", source: SourceInput | None
    ) -> AsyncGenerator[EncodedSegment]:
        """Yield what one FFmpeg for each part makes of the rest; leave to it what they did not."""
        for part in rest.take():
            cutters = _cutters(part)
            async with aclosing(self._run(seat, part, source, cutters)) as segments:
                async for segment in segments:
                    yield segment
            rest.parts += remainder(part, {each.rendition: each.missing() for each in cutters})

    async def _run(
        self,
        seat: Seat,
        task: EncodeChunk,
        source: SourceInput | None,
        cutters: Sequence[Cutter],
    ) -> AsyncGenerator[EncodedSegment]:
        """Run FFmpeg and yield what it makes; raise FFmpegFailedError when it fails.

        Only where it came to the source's end is sound that ends early followed by silence.
        """
        pipes = OutputPipes(len(cutters))
        check = source.check if source else nothing_can_fail
        try:
            argv = self._command_line(task, source, cutters, pipes)
            async with running(argv, pipes, self.limits, NICE[seat.rank]) as ffmpeg:
                seat.hold(ffmpeg)
                pumps = list(zip(await pipes.readers(), cutters, strict=True))
                async with aclosing(_segments(ffmpeg, pumps)) as segments:
                    async for segment in segments:
                        check()  # or pictures would be held that the store has
                        yield await _with_warnings(task, segment, ffmpeg)
                status = await ffmpeg.wait()
        except TransientError:
            check()  # FFmpeg may have waited for a store that is silent
            raise
        finally:
            pipes.close()
        check()
        for segment in _last_segments(task, status, cutters, ffmpeg):
            yield segment

    def _command_line(
        self,
        task: EncodeChunk,
        source: SourceInput | None,
        cutters: Sequence[Cutter],
        pipes: OutputPipes,
    ) -> list[str]:
        urls = {
            cutter.rendition: f"pipe:{fd}"
            for cutter, fd in zip(cutters, pipes.writing, strict=True)
        }
        return [self.program, *ffmpeg_arguments(task, source, urls, self.machine)]


async def _segments(ffmpeg: FFmpegProcess, pumps: Sequence[Pump]) -> AsyncGenerator[EncodedSegment]:
    """Yield segments of all outputs in the order in which they become whole."""
    queue: asyncio.Queue[EncodedSegment] = asyncio.Queue(QUEUED_SEGMENTS)
    pumping = asyncio.create_task(_pump(ffmpeg, pumps, queue))
    watching = asyncio.create_task(ffmpeg.watch())
    getting: asyncio.Task[EncodedSegment] | None = None
    try:
        while not (pumping.done() and queue.empty()):
            getting = asyncio.create_task(queue.get())
            await asyncio.wait({getting, pumping, watching}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                yield getting.result()
                continue
            await end(getting)
            for task in (watching, pumping):
                if task.done():
                    task.result()
        pumping.result()
    finally:
        await end(pumping, watching, *([getting] if getting else []))


async def _pump(
    ffmpeg: FFmpegProcess, pumps: Sequence[Pump], queue: asyncio.Queue[EncodedSegment]
) -> None:
    """Read and cut all outputs to their ends."""

    async def pump(reader: asyncio.StreamReader, cutter: Cutter) -> None:
        while data := await reader.read(READ_BYTES):
            ffmpeg.progressed()
            for segment in cutter.feed(data):
                with ffmpeg.kept_waiting():
                    await queue.put(segment)

    await asyncio.gather(*(pump(reader, cutter) for reader, cutter in pumps))


def _last_segments(
    task: EncodeChunk, status: int, cutters: Sequence[Cutter], ffmpeg: FFmpegProcess
) -> Iterator[EncodedSegment]:
    """Yield what only FFmpeg's end makes whole; raise FFmpegFailedError when it failed."""
    if status == 0:  # another one may have been reached anywhere, as by pictures beside it
        for cutter in cutters:
            yield from cutter.finish()
    if _has_failed(task, status, cutters, ffmpeg):
        raise FFmpegFailedError(f"FFmpeg ended with status {status}", ffmpeg.log.text())


async def _with_warnings(
    task: EncodeChunk, segment: EncodedSegment, ffmpeg: FFmpegProcess
) -> EncodedSegment:
    """Warn when the source had ended before this video segment did."""
    if segment.rendition == task.audio_rendition:
        return segment
    end = segment.spec.first_frame + segment.spec.frames
    needed = end - 1 - HELD_TOLERANCE_S * task.fps_num / task.fps_den

    def held() -> bool:
        last = ffmpeg.log.last_source_frame
        return last is None or last < needed

    if held():  # or the log is read later than the segment
        await asyncio.sleep(LOG_DELAY_S)
    return replace(segment, warnings=(HELD,)) if held() else segment


def _has_failed(
    task: EncodeChunk, status: int, cutters: Sequence[Cutter], ffmpeg: FFmpegProcess
) -> bool:
    """Tell whether FFmpeg may make what it lacks when it is tried again, the source being whole."""
    lacking = {cutter.rendition for cutter in cutters if cutter.missing()}
    if not lacking or status == 0:
        return False
    left_to_another = has_both(task) and lacking == {task.audio_rendition}
    return status < 0 or not (left_to_another or ffmpeg.log.nothing_decoded)


def _cutters(task: EncodeChunk) -> list[Cutter]:
    cutters: list[Cutter] = [
        VideoCutter(output.rendition, task.segments, task.fps_den) for output in task.video
    ]
    if task.audio_rendition is not None:
        cutters.append(AudioCutter(task.audio_rendition, task.audio_segments))
    return cutters
