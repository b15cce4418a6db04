"""What phones, browsers and attackers send, as the real ffprobe and FFmpeg see it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from reelay.common import range_reader
from reelay.common.range_reader import RangeReader
from reelay.common.source_input import SourceInput
from reelay.common.storage import ObjectMissingError, ObjectStore, StoreUnavailableError
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.testing.media import Media, ffmpeg_binary, ffprobe_binary
from reelay.packager.adapters import ffprobe
from reelay.packager.adapters.ffprobe import FFprobe
from reelay.packager.adapters.process import (
    OUTPUT_LIMIT_BYTES,
    run_program,
)
from reelay.packager.adapters.sources import SourceReader
from reelay.packager.domain.source import SourceFacts, UnplayableSourceError

pytestmark = pytest.mark.integration

DAY_S = 86400.0


async def probe(path: Path) -> SourceFacts:
    return await FFprobe(ffprobe_binary()).probe(SourceInput(f"file:{path}", "file"))


@asynccontextmanager
async def reading(
    store: ObjectStore, limit_s: float = DAY_S, ffmpeg: str = ""
) -> AsyncIterator[SourceReader]:
    lent = RangeReader(store)
    await lent.start()
    program = ffmpeg or ffmpeg_binary()
    yield SourceReader(store, lent, FFprobe(ffprobe_binary()), program, limit_s)
    await lent.stop()


async def test_plain_mp4(media: Media) -> None:
    facts = await probe(media.numbered(2))
    assert facts.demuxer == "mov"
    assert facts.video is not None
    assert (facts.video.width, facts.video.height, facts.video.rate) == (320, 180, 25)
    assert facts.duration_s == 2
    assert facts.audio is not None
    assert facts.audio.rate_hz == 48000


async def test_rotated_phone_video_is_portrait(media: Media) -> None:
    flat = media.numbered(1)
    turned = media.make(["-display_rotation", "90", "-i", str(flat), "-c", "copy"], "mp4")
    facts = await probe(turned)
    assert facts.video is not None
    assert (facts.video.width, facts.video.height) == (180, 320)


async def test_anamorphic_video_is_as_wide_as_shown(media: Media) -> None:
    facts = await probe(media.numbered(1, filters="setsar=4/3"))
    assert facts.video is not None
    assert (facts.video.width, facts.video.height) == (427, 180)


async def test_ntsc_rate_is_exact(media: Media) -> None:
    facts = await probe(media.numbered(1, rate="30000/1001"))
    assert facts.video is not None
    assert facts.video.rate == Fraction(30000, 1001)


async def test_cover_art_is_no_video(media: Media) -> None:
    song = media.make(
        ["-f", "lavfi", "-i", "sine=d=2", "-f", "lavfi", "-i", "color=s=64x64", "-map", "0:a",
         "-map", "1:v", "-c:v", "mjpeg", "-frames:v", "1", "-disposition:v", "attached_pic",
         "-c:a", "aac"], "m4a",
    )  # fmt: skip
    facts = await probe(song)
    assert facts.video is None
    assert facts.audio is not None


async def test_interlaced_video_is_recognised(media: Media) -> None:
    video = ("-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "tff=1", "-flags", "+ildct")
    path = media.numbered(1, video=video, filters="setfield=tff", container="mkv")
    facts = await probe(path)
    assert facts.video is not None
    assert facts.video.interlaced


async def test_hdr_video_is_recognised(media: Media) -> None:
    video = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params",
             "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc")  # fmt: skip
    facts = await probe(media.numbered(1, video=video))
    assert facts.video is not None
    assert facts.video.hdr


async def test_video_without_sound(media: Media) -> None:
    facts = await probe(media.numbered(1, sound=False))
    assert facts.audio is None


async def test_tags_are_not_read_however_long_they_are(media: Media, tmp_path: Path) -> None:
    plain = media.numbered(1, container="mkv")
    tags, path = tmp_path / "tags", tmp_path / "tagged.mkv"
    tags.write_text(f";FFMETADATA1\ncomment={'x' * 2 * OUTPUT_LIMIT_BYTES}\n")
    argv = [ffmpeg_binary(), "-v", "error", "-i", str(plain), "-f", "ffmetadata", "-i", str(tags),
            "-map_metadata", "1", "-c", "copy", str(path)]  # fmt: skip
    assert (await run_program(argv, timeout_s=60)).code == 0
    assert path.stat().st_size > OUTPUT_LIMIT_BYTES
    assert await probe(path) == await probe(plain)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"#EXTM3U\n#EXTINF:4,\n/etc/passwd\n#EXT-X-ENDLIST\n", "not a video"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "not a video"),
        (b"This is a letter, not a film.\n" * 200, "not a video"),
    ],
    ids=["playlist", "concat script", "text"],
)
async def test_what_is_no_video_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "source"
    path.write_bytes(content)
    with pytest.raises(UnplayableSourceError, match=sentence):
        await probe(path)


async def test_mp4_without_its_index_is_refused_with_advice(media: Media, tmp_path: Path) -> None:
    whole = media.numbered(3).read_bytes()
    path = tmp_path / "source"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnplayableSourceError, match="Upload the whole file again"):
        await probe(path)


@pytest.mark.parametrize(("limit_s", "refused"), [(2.0, False), (1.4, True)])
async def test_longer_video_than_is_accepted_is_refused_by_its_limit(
    media: Media, store: ObjectStore, limit_s: float, refused: bool
) -> None:
    await store.put("sources/one", media.numbered(2))
    async with reading(store, limit_s) as reader:
        if not refused:
            await reader.examine("sources/one")
            return
        with pytest.raises(UnplayableSourceError) as refusal:
            await reader.examine("sources/one")
    said = "The video lasts 0 h 00 min 02 s; at most 0 h 00 min 01 s are accepted here."
    assert refusal.value.detail == said


class Failing(FilesystemObjectStore):
    """A store on another machine, which fails after some bytes of each answer."""

    def __init__(self, root: Path, after_bytes: int) -> None:
        super().__init__(root)
        self.after_bytes = after_bytes

    def local_path(self, key: str) -> Path | None:
        return None

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        left = self.after_bytes
        async for block in super().read(key, start, end):
            yield block[:left]
            left -= len(block)
            if left <= 0:
                raise StoreUnavailableError("The store went away.")


@pytest.mark.parametrize("after_bytes", [0, 1000, 20_000])
async def test_store_that_fails_while_a_source_is_probed_is_no_fault_of_the_source(
    media: Media, tmp_path: Path, after_bytes: int
) -> None:
    store = Failing(tmp_path, after_bytes)
    await store.put("sources/one", media.numbered(10))
    async with reading(store) as reader:
        with pytest.raises(StoreUnavailableError):
            await reader.examine("sources/one")


class Silent(Failing):
    """A store that does not answer at all."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, 0)
        self.asked = asyncio.Event()

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.asked.set()
        await asyncio.Event().wait()
        yield b""


async def test_store_that_is_silent_while_a_source_is_probed_is_no_fault_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_reader, "SILENT_S", -1.0)
    store = Silent(tmp_path)

    class Impatient(FFprobe):
        async def probe(self, source: SourceInput, *, indexed: bool = False) -> SourceFacts:
            url = urlsplit(source.url)
            _, writer = await asyncio.open_connection(url.hostname, url.port)
            writer.write(f"GET {url.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await store.asked.wait()
            writer.close()
            raise UnplayableSourceError(ffprobe.TOO_LONG)

    await store.put("sources/one", b"film")
    lent = RangeReader(store)
    await lent.start()
    with pytest.raises(StoreUnavailableError, match="silent"):
        await SourceReader(store, lent, Impatient(""), "", DAY_S).examine("sources/one")
    await lent.stop()


class Short(Failing):
    """A store that ends its answers early and says nothing."""

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        left = self.after_bytes
        async for block in FilesystemObjectStore.read(self, key, start, end):
            yield block[:left]
            left -= len(block)
            if left <= 0:
                return


async def test_store_that_ends_early_is_no_fault_of_the_source(
    media: Media, tmp_path: Path
) -> None:
    store = Short(tmp_path, 20_000)
    await store.put("sources/one", media.numbered(10))
    async with reading(store) as reader:
        with pytest.raises(StoreUnavailableError):
            await reader.examine("sources/one")


async def test_what_was_found_ahead_is_what_is_found(media: Media, tmp_path: Path) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.put("sources/one", media.numbered(2))
    async with reading(store) as reader:
        plain = await reader.examine("sources/one")
        for _ in range(2):
            reader.begin("sources/one")
        assert await reader.examine("sources/one") == plain
        reader.begin("sources/none")
        with pytest.raises(ObjectMissingError):
            await reader.examine("sources/none")
