"""One file per rendition, put together while it is read, over real HTTP."""

import asyncio
import random
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import m3u8
import pytest

from ..segments import package, read_mp4
from .downloading import FILE, OBJECTS, TRACKS, samples
from .serving import parts

pytestmark = pytest.mark.integration


async def test_file_has_every_sample_of_pictures_and_sound(whole: Any) -> None:
    answer = await whole.get(FILE)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    saved = f'attachment; filename="{whole.package[:12]}-360p.mp4"'
    assert answer.headers["content-disposition"] == saved
    pictures, sound = read_mp4(answer.content)
    assert pictures.samples == samples(TRACKS[0])
    assert sound.samples == samples(TRACKS[2])


async def test_segments_lie_in_the_file_as_they_are(whole: Any) -> None:
    paths = ["video/360p/init.mp4", "audio/main/init.mp4"]
    for number in range(1, 5):
        paths += [f"video/360p/{number}.m4s", f"audio/main/{number}.m4s"]
    payload = b"".join(OBJECTS[path] for path in paths)
    content = (await whole.get(FILE)).content
    assert content.endswith(payload)
    assert len(content) - len(payload) < 8000


async def test_nothing_but_a_small_header_is_stored(run_site: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    async with run_site(cache_dir=cache) as site:
        await site.put_package(OBJECTS)
        size = len((await site.get(FILE)).content)
        stored = [path for path in cache.rglob("*") if path.is_file()]
        assert len(stored) == 1
        assert stored[0].stat().st_size < 0.1 * size
    async with run_site(cache_dir=cache):
        assert not [path for path in cache.rglob("*") if path.is_file()]


async def test_every_replica_gives_the_same_bytes_and_tag(
    whole: Any, run_site: Any, shared_program: tuple[Any, str]
) -> None:
    first = await whole.get(FILE)
    async with run_site(shared_program[1]) as other:
        second = await other.client.get(f"{whole.prefix}/{FILE}")
    assert second.content == first.content
    assert second.headers["etag"] == first.headers["etag"]


async def test_any_range_is_what_the_whole_file_has_there(whole: Any) -> None:
    content = (await whole.get(FILE)).content
    randomly = random.Random(4)
    starts = [content.index(OBJECTS[path]) for path in OBJECTS if path.startswith("video/360p/1.")]
    for _ in range(120):
        start = randomly.choice([randomly.randrange(len(content)), *starts])
        end = randomly.choice([start, randomly.randrange(start, len(content)), len(content) + 9])
        answer = await whole.get(FILE, headers={"range": f"bytes={start}-{end}"})
        assert answer.status_code == 206
        assert answer.content == content[start : end + 1]
        last = min(end, len(content) - 1)
        assert answer.headers["content-range"] == f"bytes {start}-{last}/{len(content)}"
    suffix = await whole.get(FILE, headers={"range": "bytes=-1000"})
    assert suffix.content == content[-1000:]


async def test_several_ranges_are_parts_of_one_answer(whole: Any) -> None:
    content = (await whole.get(FILE)).content
    for field, expected in [
        ("0-9,5000-60000,-5", [content[:10], content[5000:60001], content[-5:]]),
        ("0-9,5000-150000,-5", [content[:10], content[5000:150001], content[-5:]]),
    ]:
        answer = await whole.get(FILE, headers={"range": f"bytes={field}"})
        assert answer.status_code == 206
        assert [content for _, content in parts(answer, "video/mp4")] == expected


async def test_conditions_hold_for_the_file_as_for_any_object(whole: Any) -> None:
    url = f"{whole.prefix}/{FILE}"
    get = await whole.get(FILE)
    size, etag = len(get.content), get.headers["etag"]
    head = await whole.client.head(url)
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    assert head.content == b""
    known = await whole.get(FILE, headers={"if-none-match": etag})
    assert (known.status_code, known.content) == (304, b"")
    assert (await whole.get(FILE, headers={"if-match": '"x"'})).status_code == 412
    beyond = await whole.get(FILE, headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    for tag, status in [(etag, 206), (f"W/{etag}", 200), ('"other"', 200)]:
        answer = await whole.get(FILE, headers={"range": "bytes=0-1", "if-range": tag})
        assert answer.status_code == status
    others = [await whole.get(path) for path in ("downloads/480p.mp4", "downloads/audio.mp4")]
    assert len({etag, *(other.headers["etag"] for other in others)}) == 3
    assert others[1].headers["content-type"] == "audio/mp4"
    (sound,) = read_mp4(others[1].content)
    assert sound.samples == samples(TRACKS[2])


async def test_playlists_of_byte_ranges_lead_to_the_same_segments(whole: Any) -> None:
    master_path = "downloads/480p.m3u8"
    answer = await whole.get(master_path)
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    master = m3u8.loads(answer.text)
    (variant,), (sound,) = master.playlists, master.media
    for uri, track in [(variant.uri, TRACKS[1]), (sound.uri, TRACKS[2])]:
        path = urljoin(master_path, uri)
        playlist = m3u8.loads((await whole.get(path)).text)
        assert await ranged(whole, path, playlist.segment_map[0]) == track.init
        assert len(playlist.segments) == len(track.lengths)
        for number, segment in enumerate(playlist.segments, 1):
            assert await ranged(whole, path, segment) == track.segment(number)


async def ranged(site: Any, playlist: str, segment: Any) -> bytes:
    """Fetch what a segment of a playlist names."""
    length, start = map(int, segment.byterange.split("@"))
    field = f"bytes={start}-{start + length - 1}"
    answer = await site.get(urljoin(playlist, segment.uri), headers={"range": field})
    assert answer.status_code == 206
    content: bytes = answer.content
    return content


async def test_video_without_sound_and_sound_without_video_are_files(site: Any) -> None:
    for tracks, name, own in [(TRACKS[:1], "360p", "video"), (TRACKS[2:], "audio", "audio")]:
        site.package = f"{len(name):064x}"
        objects = package(tracks)
        if own == "audio":
            objects["master.m3u8"] = (
                b'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="mp4a.40.2"\n'
                b"audio/main/index.m3u8\n"
            )
        await site.put_package(objects)
        (track,) = read_mp4((await site.get(f"downloads/{name}.mp4")).content)
        assert track.samples == samples(tracks[0])
        master = m3u8.loads((await site.get(f"downloads/{name}.m3u8")).text)
        assert [p.uri for p in master.playlists] == [f"{name}/{own}.m3u8"]
        assert master.media == []
        other = "audio" if own == "video" else "video"
        assert (await site.get(f"downloads/{name}/{own}.m3u8")).status_code == 200
        assert (await site.get(f"downloads/{name}/{other}.m3u8")).status_code == 404


async def test_header_is_made_once_for_all_who_ask_at_first(run_site: Any) -> None:
    async with run_site() as site:
        await site.put_package(OBJECTS)
        answers = await asyncio.gather(*(site.get(FILE) for _ in range(30)))
        assert len({answer.content for answer in answers}) == 1
        assert site.program.log.read_bytes().count(b"download header made") == 1
