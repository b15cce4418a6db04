"""One file per rendition, put together while it is read, over real HTTP."""

import asyncio
import email
import email.message
import random
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import m3u8
import pytest

from ..segments import SyntheticTrack, film, index, package, read_mp4

pytestmark = pytest.mark.integration

TRACKS = film(sample_bytes=4000)
OBJECTS = package(TRACKS)
FILE = "downloads/360p.mp4"


async def put_all(site: Any, objects: dict[str, bytes]) -> None:
    """Store a whole package."""
    await asyncio.gather(*(site.put(path, data) for path, data in objects.items()))
    await site.put("index.json", index(objects))


@pytest.fixture
async def whole(site: Any) -> Any:
    """A package that is complete."""
    await put_all(site, OBJECTS)
    return site


def samples(track: SyntheticTrack) -> list[bytes]:
    return [sample for segment in track.samples for sample in segment]


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
        await put_all(site, OBJECTS)
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
        head = f"content-type: {answer.headers['content-type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + answer.content)
        parts = [part.get_payload(decode=True) for part in message.get_payload()]  # type: ignore[union-attr]  # a list, of a multipart message
        assert parts == expected


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
        await put_all(site, objects)
        (track,) = read_mp4((await site.get(f"downloads/{name}.mp4")).content)
        assert track.samples == samples(tracks[0])
        master = m3u8.loads((await site.get(f"downloads/{name}.m3u8")).text)
        assert [p.uri for p in master.playlists] == [f"{name}/{own}.m3u8"]
        assert master.media == []
        other = "audio" if own == "video" else "video"
        assert (await site.get(f"downloads/{name}/{own}.m3u8")).status_code == 200
        assert (await site.get(f"downloads/{name}/{other}.m3u8")).status_code == 404


async def test_package_that_is_not_whole_is_409_until_it_is(site: Any) -> None:
    for path, data in OBJECTS.items():
        await site.put(path, data)
    for path in (FILE, "downloads/360p.m3u8", "downloads/360p/video.m3u8"):
        answer = await site.get(path)
        assert answer.status_code == 409
        assert answer.json()["type"] == "not-whole-yet"
        assert answer.headers["cache-control"] == "no-store"
        assert (await site.client.head(f"{site.prefix}/{path}")).status_code == 409
    await site.put("index.json", index(OBJECTS))
    assert (await site.get(FILE)).status_code == 200


async def test_deleted_package_is_404_though_its_header_was_made(whole: Any) -> None:
    assert (await whole.get(FILE)).status_code == 200
    for path in (*OBJECTS, "index.json"):
        await whole.store.delete(f"packages/{whole.package}/{path}")
    for path in (FILE, "downloads/360p.m3u8"):
        assert (await whole.get(path)).status_code == 404


async def test_failed_package_is_410(site: Any) -> None:
    await site.put("plan.json", OBJECTS["plan.json"])
    await site.put("failed.json", b'{"reason": "Broken."}')
    answer = await site.get(FILE)
    assert (answer.status_code, answer.json()["detail"]) == (410, "Broken.")


@pytest.mark.parametrize(
    "path",
    [
        "downloads/720p.mp4", "downloads/360p", "downloads/", "downloads/360p.webm",
        "downloads/360p/1.m4s", "downloads/audio.m3u8", "downloads/main.mp4",
        "downloads/360p.mp4/x", "downloads/master.m3u8", "downloads/%2e%2e/plan.json",
    ],
)  # fmt: skip
async def test_names_that_mean_no_download_are_404(whole: Any, path: str) -> None:
    answer = await whole.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "not-found"


async def test_package_that_nobody_made_is_404(site: Any) -> None:
    site.package = "0" * 64
    assert (await site.get(FILE)).status_code == 404


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("video/360p/3.m4s", lambda data: data[:30] + b"\xff" * 40 + data[70:]),
        ("video/360p/3.m4s", lambda data: b"\0" * len(data)),
        ("video/360p/3.m4s", lambda data: data.replace(b"moof", b"junk")),
        ("video/360p/3.m4s", lambda data: data[:100]),
        ("video/360p/3.m4s", lambda data: b""),
        ("video/360p/2.m4s", lambda data: OBJECTS["video/360p/1.m4s"]),
        ("video/360p/init.mp4", lambda data: data[:-1] + b"x"),
        ("index.json", lambda data: b"{}"),
        ("index.json", lambda data: data.replace(b'"video/360p/4.m4s"', b'"video/360p/9.m4s"')),
    ],
)
async def test_damaged_package_is_refused_and_says_so(site: Any, path: str, change: Any) -> None:
    stored = {**OBJECTS, "index.json": index(OBJECTS)}
    stored[path] = change(stored[path])
    for name, data in stored.items():
        await site.put(name, data)
    answer = await site.get(FILE)
    assert answer.status_code == 500
    assert answer.json()["type"] == "damaged-segment"
    assert answer.headers["cache-control"] == "no-store"
    if path.startswith("video/360p"):
        assert (await site.get("downloads/480p.mp4")).status_code == 200


@pytest.mark.parametrize("number", [1, 4])
async def test_missing_segment_breaks_the_download_off(whole: Any, number: int) -> None:
    key = f"packages/{whole.package}/video/360p/{number}.m4s"
    assert (await whole.get("downloads/audio.mp4")).status_code == 200
    await whole.get(FILE)
    await whole.store.delete(key)
    with pytest.raises(httpx.RemoteProtocolError):
        await whole.get(FILE)
    content = (await whole.get("downloads/360p/video.m3u8")).text
    length, start = map(int, m3u8.loads(content).segments[number - 1].byterange.split("@"))
    field = f"bytes={start}-{start + length - 1}"
    assert (await whole.get(FILE, headers={"range": field})).status_code == 503
    assert (await whole.get(FILE, headers={"range": "bytes=0-99"})).status_code == 206


async def test_header_is_made_once_for_all_who_ask_at_first(run_site: Any) -> None:
    async with run_site() as site:
        await put_all(site, OBJECTS)
        answers = await asyncio.gather(*(site.get(FILE) for _ in range(30)))
        assert len({answer.content for answer in answers}) == 1
        assert site.program.log.read_bytes().count(b"download header made") == 1


async def test_more_downloads_than_are_allowed_are_503(run_site: Any) -> None:
    async with run_site(max_downloads=1) as site:
        # More than the buffers of a connection take, so that the first is still under way.
        await put_all(site, package(film(8, sample_bytes=100_000)[:1]))
        size = int((await site.client.head(f"{site.prefix}/{FILE}")).headers["content-length"])
        reader, writer = await unhurried(site.program.port)
        writer.write(f"GET {site.prefix}/{FILE} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        refused = await site.get(FILE)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["type"] == "too-many-downloads"
        assert (await site.get(FILE, headers={"range": "bytes=0-9"})).status_code == 206
        assert len(await reader.readexactly(size)) == size
        writer.close()
        assert (await site.get(FILE)).status_code == 200


async def unhurried(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with small buffers, whatever the system's are."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=client, limit=4096)


async def test_downloads_that_pause_keep_no_thread_from_others(run_site: Any) -> None:
    objects = package(film(8, sample_bytes=60_000))
    async with run_site() as site:
        await put_all(site, objects)
        size = int((await site.client.head(f"{site.prefix}/{FILE}")).headers["content-length"])
        connections = [await unhurried(site.program.port) for _ in range(40)]
        for _, writer in connections:
            writer.write(f"GET {site.prefix}/{FILE} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        for reader, _ in connections:
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        segment = await site.get("video/480p/4.m4s")
        assert segment.content == objects["video/480p/4.m4s"]
        contents = await asyncio.gather(*(reader.readexactly(size) for reader, _ in connections))
        for _, writer in connections:
            writer.close()
        assert len(set(contents)) == 1
        assert contents[0].endswith(objects["audio/main/4.m4s"])
