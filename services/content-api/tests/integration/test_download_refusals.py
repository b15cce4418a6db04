"""Files that cannot be put together: not yet, no longer, not from this, not for so many."""

import asyncio
import socket
from typing import Any

import httpx
import m3u8
import pytest

from ..segments import film, index, package
from .downloading import FILE, OBJECTS, samples

pytestmark = pytest.mark.integration


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


async def test_package_made_again_unheard_of_fails_one_download_and_no_more(whole: Any) -> None:
    assert (await whole.get(FILE)).status_code == 200
    again = film(sample_bytes=5000)
    for path in (*OBJECTS, "index.json"):
        await whole.store.delete(f"packages/{whole.package}/{path}")
    await whole.put_package(package(again))
    with pytest.raises(httpx.RemoteProtocolError):
        await whole.get(FILE)
    answer = await whole.get(FILE)
    assert answer.status_code == 200
    assert all(sample in answer.content for sample in samples(again[0]))


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
    await site.put_package({**stored, path: change(stored[path])})
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


async def test_more_downloads_than_are_allowed_are_503(run_site: Any) -> None:
    async with run_site(max_downloads=1) as site:
        # More than the buffers of a connection take, so that the first is still under way.
        await site.put_package(package(film(8, sample_bytes=100_000)[:1]))
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
        await site.put_package(objects)
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
