"""The encoder's own transcoder for one local film, without messages and without a store."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from reelay.common.source_input import SourceInput
from reelay.common.testing.media import ffmpeg_binary, ffprobe_binary
from reelay.encoder.adapters.ffmpeg import FFmpegTranscoder
from reelay.encoder.adapters.lane_gate import LaneGate
from reelay.encoder.bootstrap import limits
from reelay.encoder.domain.command import Machine
from reelay.encoder.settings import EncoderSettings
from reelay.packager.adapters.ffprobe import FFprobe
from reelay.packager.domain.plan import Plan, make_plan


@dataclass(frozen=True)
class _LocalFile:
    """The one source, as the filesystem store hands it to FFmpeg."""

    place: SourceInput

    def open(self, key: str) -> AbstractAsyncContextManager[SourceInput]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[SourceInput]:
            yield self.place

        return opened()


def local_source(path: Path) -> SourceInput:
    """Return a file as FFmpeg reads it."""
    return SourceInput(f"file:{path}", "file")


def transcoder(path: Path) -> FFmpegTranscoder:
    """Return what an encoder makes chunks of a film with, as its defaults have it."""
    settings = EncoderSettings(
        ffmpeg=ffmpeg_binary(), store_url="file:///nowhere", nats_url="nats://nowhere"
    )
    return FFmpegTranscoder(
        settings.ffmpeg,
        Machine(settings.thread_count(), tonemap=True),
        limits(settings),
        _LocalFile(local_source(path)),
        LaneGate(settings.longest_pause_s),
    )


async def plan_of(path: Path) -> Plan:
    """Return the packager's plan of a film."""
    facts = await FFprobe(ffprobe_binary()).probe(local_source(path))
    return make_plan("benchmark", facts, {})
