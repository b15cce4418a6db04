"""Shaka Packager makes every CMAF segment from an encoder's fragmented MP4."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reelay.common.errors import PermanentError, TransientError
from reelay.common.scratch import scratch
from reelay.packager.adapters.process import run_program

TIMEOUT_S = 20.0
IO_CACHE_BYTES = "1048576"
"""For each file that it opens it fills so much memory first: 32 MiB by default, which made a call
cost 0.1 CPU-seconds instead of 0.005. Without any cache one call in a hundred hangs."""
WHOLE_INPUT_S = "100000"
"""Longer than any segment: the packager cuts nothing."""


class PackagingFailedError(TransientError):
    """Shaka Packager could not package a segment."""


class NotOneSegmentError(PermanentError):
    """Shaka Packager made more or less than one segment of an encoder's segment."""


@dataclass(frozen=True)
class RawSegment:
    """An encoder's segment on this machine's disk; `kind` is `video` or `audio`."""

    path: Path
    kind: str


@dataclass(frozen=True)
class CmafSegment:
    """An init segment and one media segment."""

    init: bytes
    media: bytes


class ShakaPackager:
    """Calls the packager's binary; one call may take many segments."""

    def __init__(self, binary: str) -> None:
        self._binary = binary

    async def package(self, segments: Sequence[RawSegment]) -> list[CmafSegment]:
        """Package each segment by itself, in one call.

        Raises PackagingFailedError when the call fails, NotOneSegmentError for odd output.
        """
        with scratch("package") as work:
            argv = [self._binary, "--quiet", "--io_cache_size", IO_CACHE_BYTES]
            argv += ["--segment_duration", WHOLE_INPUT_S, "--fragment_duration", WHOLE_INPUT_S]
            argv += [_stream(segment, work / str(i)) for i, segment in enumerate(segments)]
            done = await run_program(argv, timeout_s=TIMEOUT_S)
            if done.code != 0:
                raise PackagingFailedError(f"Shaka Packager: {done.stderr.strip()[-500:]}")
            return await asyncio.to_thread(
                lambda: [_collect(work / str(i)) for i in range(len(segments))]
            )


def _stream(segment: RawSegment, folder: Path) -> str:
    folder.mkdir()
    return (
        f"in={segment.path},stream={segment.kind},"
        f"init_segment={folder}/init.mp4,segment_template={folder}/$Number$.m4s"
    )


def _collect(folder: Path) -> CmafSegment:
    media = list(folder.glob("*.m4s"))
    if len(media) != 1:
        raise NotOneSegmentError(f"{len(media)} segments came of one.")
    return CmafSegment((folder / "init.mp4").read_bytes(), media[0].read_bytes())
