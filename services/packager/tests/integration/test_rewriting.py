"""Sources without an index are rewritten once; what hinders that is no fault of theirs."""

import asyncio
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from reelay.common.errors import TransientError
from reelay.common.storage import ObjectStore
from reelay.common.tasks import end
from reelay.common.testing.media import Media, ffmpeg_binary
from reelay.packager.adapters import sources
from reelay.packager.adapters.ffprobe import NeedsIndexError
from reelay.packager.adapters.process import ProgramKilledError
from reelay.packager.adapters.sources import ScratchFullError
from reelay.packager.domain.source import UnplayableSourceError

from .test_programs import script
from .test_sources import probe, reading

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("container", ["webm", "ts", "flv", "mpg"])
async def test_source_without_index_is_rewritten_once_with_all_its_frames(
    media: Media, store: ObjectStore, container: str
) -> None:
    codecs = {
        "webm": (("-c:v", "libvpx", "-deadline", "realtime"), ("-c:a", "libopus")),
        "mpg": (("-c:v", "mpeg2video", "-b:v", "4M"), ("-c:a", "mp2")),
    }
    video, audio = codecs.get(
        container, (("-c:v", "libx264", "-preset", "ultrafast"), ("-c:a", "aac"))
    )
    output = ("-live", "1") if container == "webm" else ()
    path = media.numbered(3, video=video, audio=audio, container=container, output=output)
    with pytest.raises(NeedsIndexError):
        await probe(path)
    await store.put("sources/one", path)
    async with reading(store) as reader:
        with pytest.raises(NeedsIndexError):
            await reader.examine("sources/one")
        key, facts = await reader.rewrite("a" * 64, "sources/one")
        await store.delete("sources/one")
        again = await reader.rewrite("a" * 64, "sources/one")
    suffix, demuxer = (".mkv", "matroska") if container == "webm" else (".mp4", "mov")
    assert (key, facts.demuxer) == (f"rewritten/{'a' * 64}{suffix}", demuxer)
    assert facts.video is not None
    assert abs(facts.video.end_s - 3) < Fraction(1, 10)
    assert again == (key, facts)


async def test_source_whose_rewriting_takes_too_long_is_refused_for_good(
    media: Media, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "REWRITE_TIMEOUT_S", 0.3)
    await store.put("sources/one", media.numbered(1, container="ts"))
    async with reading(store, ffmpeg=script(tmp_path / "ffmpeg", "sleep 600")) as reader:
        with pytest.raises(UnplayableSourceError) as refusal:
            await reader.rewrite("a" * 64, "sources/one")
    assert refusal.value.detail == sources.TOO_SLOW


async def test_source_that_two_ask_for_at_once_is_rewritten_once(
    media: Media, store: ObjectStore, tmp_path: Path
) -> None:
    await store.put("sources/one", media.numbered(1, container="ts"))
    note = tmp_path / "note"
    ffmpeg = script(tmp_path / "ffmpeg", f"echo begun >> {note}", f'exec "{ffmpeg_binary()}" "$@"')
    async with reading(store, ffmpeg=ffmpeg) as reader:
        asked = [reader.rewrite("a" * 64, "sources/one") for _ in range(3)]
        one, *others = await asyncio.gather(*asked)
    assert others == [one, one]
    assert note.read_text() == "begun\n"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("kill -9 $$", ProgramKilledError),
        ("echo 'av_interleaved_write_frame(): No space left on device' >&2", ScratchFullError),
    ],
)
async def test_what_hinders_the_packager_is_no_fault_of_the_file(
    media: Media, store: ObjectStore, tmp_path: Path, line: str, error: type[TransientError]
) -> None:
    await store.put("sources/one", media.numbered(1, container="ts"))
    async with reading(store, ffmpeg=script(tmp_path / "ffmpeg", line, "exit 1")) as reader:
        with pytest.raises(error):
            await reader.rewrite("a" * 64, "sources/one")


async def test_source_larger_than_the_room_that_is_left_is_not_even_begun(
    media: Media, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put("sources/one", media.numbered(1, container="ts"))
    disk_has(monkeypatch, total=10**9, free=1000)
    async with reading(store, ffmpeg=str(tmp_path / "never")) as reader:
        with pytest.raises(ScratchFullError):
            await reader.rewrite("a" * 64, "sources/one")


async def test_source_that_no_empty_disk_would_hold_is_refused_with_advice(
    media: Media, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = media.numbered(1, container="ts")
    await store.put("sources/one", path)
    size_bytes = path.stat().st_size
    disk_has(monkeypatch, total=size_bytes, free=size_bytes)
    async with reading(store, ffmpeg=str(tmp_path / "never")) as reader:
        with pytest.raises(UnplayableSourceError) as refusal:
            await reader.rewrite("a" * 64, "sources/one")
    assert refusal.value.detail == sources.TOO_LARGE


async def test_room_that_one_source_will_need_is_not_promised_to_another(
    media: Media, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = media.numbered(1, container="ts")
    for name in ("one", "two"):
        await store.put(f"sources/{name}", path)
    disk_has(monkeypatch, total=10**9, free=path.stat().st_size * 3 // 2)
    note = tmp_path / "note"
    ffmpeg = script(tmp_path / "ffmpeg", f"echo begun >> {note}", "exec sleep 600")
    async with reading(store, ffmpeg=ffmpeg) as reader:
        first = asyncio.create_task(reader.rewrite("a" * 64, "sources/one"))
        async with asyncio.timeout(60):
            while not note.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            with pytest.raises(ScratchFullError):
                await reader.rewrite("b" * 64, "sources/two")
        await end(first)


async def test_what_one_container_did_not_take_is_removed_before_the_next_is_tried(
    media: Media, store: ObjectStore, tmp_path: Path
) -> None:
    await store.put("sources/one", media.numbered(1, container="ts"))
    note = tmp_path / "note"
    ffmpeg = script(
        tmp_path / "ffmpeg",
        'for target in "$@"; do :; done',
        f'ls "$(dirname "$target")" >> {note}',
        'echo half > "$target"',
        "exit 1",
    )
    async with reading(store, ffmpeg=ffmpeg) as reader:
        with pytest.raises(UnplayableSourceError, match="damaged"):
            await reader.rewrite("a" * 64, "sources/one")
    assert note.read_text() == ""


def disk_has(monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
    """Let the disk for temporary files be another."""
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda _: SimpleNamespace(**sizes))
