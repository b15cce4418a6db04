"""Makes the header of a progressive file from the heads of a package's segments."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from reelay.common.tasks import end
from reelay.content_api.domain.assembled import Assembled, Derived, Package
from reelay.content_api.domain.fragments import Fragment, head_bytes, read_fragment
from reelay.content_api.domain.layout import Layout, objects
from reelay.content_api.domain.mp4_boxes import DamagedSegmentError
from reelay.content_api.domain.ports import Files
from reelay.content_api.domain.progressive import FilledTrack, Header, make_header
from reelay.content_api.domain.promises import PlannedRendition
from reelay.content_api.domain.sample_tables import SampleTables
from reelay.content_api.domain.tracks import Track, read_track

HEADS_AT_ONCE = 32
FIRST_READ_BYTES = 6 * 1024
"""Holds the boxes before the samples of nearly every segment of ours (4 s at 60 frames/s)."""
MAX_INIT_BYTES = 64 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Assembler:
    """Puts files together; needs little memory, for only heads of segments are read."""

    files: Files
    derived: Derived

    async def assemble(
        self,
        package_id: str,
        package: Package,
        streams: Sequence[PlannedRendition],
        when_wrong: Callable[[], None],
    ) -> Assembled:
        """Return the file of some renditions: pictures first, then their sound.

        Raises DamagedSegmentError, TooLongError, StoreUnavailableError.
        """
        sizes = [
            package.size_of(streams[index].object_path(number))
            for index, number in objects(streams)
        ]
        tracks = [await _track(package, stream) for stream in streams]
        header = await _read_heads(package, streams, sizes, tracks)
        stored = await self.derived.write(header.blocks())
        layout = Layout(streams, header.size_bytes, sizes)
        return Assembled(package_id, layout, stored, self.files, when_wrong)


async def _track(package: Package, stream: PlannedRendition) -> Track:
    path = stream.object_path(0)
    if package.size_of(path) > MAX_INIT_BYTES:
        raise DamagedSegmentError(f"{path} is too large")
    return read_track(await package.read(path))


async def _read_heads(
    package: Package,
    streams: Sequence[PlannedRendition],
    sizes: Sequence[int],
    tracks: Sequence[Track],
) -> Header:
    filled = [FilledTrack(track, SampleTables()) for track in tracks]
    listed = list(zip(objects(streams), sizes, strict=True))
    calls = (
        _fragment(package, streams[index].object_path(number), size, tracks[index])
        for (index, number), size in listed
        if number
    )
    position = 0
    async with aclosing(_in_order(calls, HEADS_AT_ONCE)) as fragments:
        for (index, number), size in listed:
            if number:
                filled[index].tables.add(await anext(fragments), position)
            position += size
    return make_header(filled, position)


async def _fragment(package: Package, path: str, size_bytes: int, track: Track) -> Fragment:
    try:
        head = await package.start(path, min(size_bytes, FIRST_READ_BYTES))
        needed = head_bytes(head, size_bytes)
        if needed > len(head):
            head = await package.start(path, needed)
        return read_fragment(head, size_bytes, track.defaults)
    except DamagedSegmentError as error:
        raise DamagedSegmentError(f"{path}: {error.detail}") from error


async def _in_order(
    calls: Iterator[Coroutine[None, None, T]], at_once: int
) -> AsyncGenerator[T, None]:
    """Yield results in the order of the calls, of which so many run at a time."""
    running: deque[asyncio.Task[T]] = deque()
    try:
        for call in calls:
            running.append(asyncio.create_task(call))
            if len(running) >= at_once:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        await end(*running)
