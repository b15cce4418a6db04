"""Sources whose pictures carry their number, and a transcoder to cut them with."""

import hashlib
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import imageio_ffmpeg
import pytest

from reelay.common.commands import (
    EncodeChunk,
    Lane,
    SegmentSpec,
    SourceSpec,
    VideoConstants,
    VideoOutput,
)
from reelay.common.range_reader import RangeReader
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.testing.servers import Program
from reelay.encoder.adapters.ffmpeg import FFmpegTranscoder
from reelay.encoder.adapters.lane_gate import LaneGate
from reelay.encoder.adapters.process import Limits
from reelay.encoder.domain.command import Machine
from reelay.encoder.domain.cutting import EncodedSegment

from .service import Encoder


def words(arguments: str) -> list[str]:
    """Split a command line as it would be typed."""
    return arguments.split()


FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
CACHE = Path(__file__).parents[4] / ".cache" / "media"
WIDTH, HEIGHT, BITS = 320, 180, 16
X264 = words("-c:v libx264 -preset ultrafast -g 48 -bf 2 -threads 1")


def barcode(number: int) -> bytes:
    """One yuv420p picture of 16 upright bars: the bits of `number`, highest first."""
    bars = format(number, f"0{BITS}b")
    row = b"".join((b"\xeb" if bar == "1" else b"\x10") * (WIDTH // BITS) for bar in bars)
    return row * HEIGHT + b"\x80" * (WIDTH * HEIGHT // 2)


@dataclass(frozen=True)
class Media:
    """Makes test sources and reads what was made of them."""

    ffmpeg: str = FFMPEG

    def run(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        argv = [FFMPEG, "-v", "error", "-y", *arguments]
        return subprocess.run(argv, input=stdin, capture_output=True, check=True).stdout

    def make(self, name: str, *arguments: str, stdin: bytes | None = None) -> Path:
        """Make a file once, and keep it under a name that depends on how it is made."""
        recipe = "\0".join([FFMPEG, *arguments, hashlib.sha256(stdin or b"").hexdigest()])
        path = CACHE / f"{hashlib.sha256(recipe.encode()).hexdigest()[:16]}-{name}"
        if not path.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{uuid4().hex}-{name}")
            self.run(*arguments, str(temporary), stdin=stdin)
            temporary.rename(path)
        return path

    def numbered(
        self,
        name: str,
        rate: str,
        frames: int,
        *extra: str,
        before: Sequence[str] = (),
        codec: Sequence[str] = X264,
    ) -> Path:
        """Make a video whose picture k shows the number k."""
        raw = b"".join(barcode(number) for number in range(frames))
        source = words(f"-f rawvideo -pix_fmt yuv420p -s {WIDTH}x{HEIGHT} -r {rate} -i -")
        return self.make(name, *source, *before, *extra, *codec, stdin=raw)

    def undecodable(self, whole: Path, folder: Path) -> Path:
        """Write a copy of an MP4 file, its index first, in which no sample can be decoded."""
        damaged = bytearray(whole.read_bytes())
        begin = damaged.index(b"mdat") + 4
        damaged[begin:] = bytes(len(damaged) - begin)
        path = folder / "damaged.mp4"
        path.write_bytes(damaged)
        return path

    def pictures(self, data: bytes, width: int, height: int) -> list[bytes]:
        """Decode to gray pictures, as they come."""
        out = self.run(
            *words("-f mp4 -i - -fps_mode passthrough -f rawvideo -pix_fmt gray -"), stdin=data
        )
        size = width * height
        return [out[i : i + size] for i in range(0, len(out), size)]

    def numbers(self, data: bytes, width: int = WIDTH, height: int = HEIGHT) -> list[int]:
        """Return the number that each picture shows."""
        return [
            self.number(picture, width, height) for picture in self.pictures(data, width, height)
        ]

    def number(self, picture: bytes, width: int, height: int) -> int:
        middle = height // 2 * width
        bar = width / BITS
        levels = [picture[middle + int((i + 0.5) * bar)] for i in range(BITS)]
        return int("".join("1" if level > 128 else "0" for level in levels), 2)

    def samples(self, data: bytes) -> list[int]:
        """Decode to mono 16-bit samples of the left channel, at 48 kHz."""
        out = self.run(*words("-f mp4 -i - -af pan=mono|c0=c0 -f s16le -ar 48000 -"), stdin=data)
        return list(memoryview(out).cast("h"))


@pytest.fixture(scope="session")
def media() -> Media:
    return Media()


TaskMaker = Callable[..., EncodeChunk]


@pytest.fixture(scope="session")
def make_task() -> TaskMaker:
    """Build a task from runs of frames: `segments=[25, 25]` from `first`."""

    def make(
        path: Path,
        fps: str = "25",
        first: int = 0,
        segments: Sequence[int] = (25,),
        *,
        demuxer: str = "mov",
        sizes: Sequence[tuple[int, int]] = ((WIDTH, HEIGHT),),
        audio_first: int = 0,
        audio_segments: Sequence[int] = (),
        audio_stream: int = 1,
        lane: Lane = Lane.OPENING,
        **source: object,
    ) -> EncodeChunk:
        rate = Fraction(fps)
        return EncodeChunk(
            task_id=uuid4(),
            package_id="p" * 64,
            lane=lane,
            provider="software",
            source=SourceSpec.model_validate(
                {
                    "key": f"sources/{path.name}",
                    "demuxer": demuxer,
                    "video_stream": 0,
                    "audio_stream": audio_stream,
                    "preroll_s": 0.5,
                    **source,
                }
            ),
            fps_num=rate.numerator,
            fps_den=rate.denominator,
            constants=VideoConstants(
                preset="veryfast", crf=23, profile="high", gop_frames=240, refs=3, bframes=3
            ),
            video=[
                VideoOutput(
                    rendition=f"{min(w, h)}p", width=w, height=h, maxrate_bps=800_000, level="3.0"
                )
                for w, h in (sizes if segments else ())
            ],
            segments=specs(first, segments),
            audio_rendition="audio" if audio_segments else None,
            audio_segments=specs(audio_first, audio_segments),
        )

    return make


def specs(first: int, runs: Sequence[int]) -> list[SegmentSpec]:
    made = []
    for number, frames in enumerate(runs, start=1):
        made.append(SegmentSpec(number=number, first_frame=first, frames=frames))
        first += frames
    return made


LIMITS = Limits(memory_bytes=4 << 30, wall_s=60, no_progress_s=20)


@dataclass
class Bench:
    """A store with a source in it, and a transcoder that reads from there."""

    store: FilesystemObjectStore
    sources: RangeReader
    lanes: LaneGate

    def transcoder(
        self, *, program: str = FFMPEG, limits: Limits = LIMITS, threads: int = 2
    ) -> FFmpegTranscoder:
        machine = Machine(threads, tonemap=True)
        return FFmpegTranscoder(program, machine, limits, self.sources, self.lanes)

    async def encode(
        self, path: Path, task: EncodeChunk, **options: object
    ) -> list[EncodedSegment]:
        """Encode a chunk of the file at `path`."""
        await self.store.put(task.source.key, path)
        transcoder = self.transcoder(**options)  # type: ignore[arg-type]  # passed on
        return [segment async for segment in transcoder.transcode(task)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = FilesystemObjectStore(tmp_path)
    sources = RangeReader(store)
    await sources.start()
    yield Bench(store, sources, LaneGate(longest_pause_s=10.0))
    await sources.stop()


@pytest.fixture
async def encoder(nats: Program, tmp_path: Path) -> AsyncIterator[Encoder]:
    service = Encoder(nats.url, tmp_path / "objects", FFMPEG)
    await service.start()
    yield service
    await service.stop(signal.SIGKILL)
