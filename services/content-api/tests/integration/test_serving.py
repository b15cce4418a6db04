"""Objects that exist, over real HTTP, and paths and methods that must not work."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from .serving import DATA, SIZE
from .sites import SEGMENT

pytestmark = pytest.mark.integration


async def test_object_is_served_with_all_that_caches_need(site: Any, etag: str) -> None:
    answer = await site.get(SEGMENT)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-length"] == str(SIZE)
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["content-type"] == "video/iso.segment"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"]
    assert {"content-range", "content-length", "etag", "retry-after"} <= set(exposed.split(", "))
    assert etag.startswith('"')


async def test_head_has_the_fields_of_get_and_no_body(site: Any, etag: str) -> None:
    get, head = await site.get(SEGMENT), await site.client.head(f"{site.prefix}/{SEGMENT}")
    assert head.status_code == 200
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    request = f"HEAD {site.prefix}/{SEGMENT} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    assert (await site.raw(request.encode())).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("name", ["plan.json", "index.json"])
async def test_plan_and_index_are_served(site: Any, etag: str, name: str) -> None:
    await site.put("index.json", b"{}")
    answer = await site.get(name)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


async def test_stored_names_that_no_plan_promises_are_404(site: Any, etag: str) -> None:
    for path in ("video/360p/18.m4s", "failed2.json", "staging/1.m4s", "video/720p/1.m4s"):
        await site.put(path, b"secret")
        answer = await site.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    "target",
    [
        "{prefix}/../secret",
        "{prefix}/video/../../../secret",
        "{prefix}/%2e%2e/%2e%2e/secret",
        "{prefix}/..%2f..%2fsecret",
        "{prefix}/%252e%252e/%252e%252e/secret",
        "{prefix}/..\\..\\secret",
        "{prefix}/%5c..%5csecret",
        "{prefix}/video/360p/1.m4s%00",
        "{prefix}/video/360p/1.m4s%00.json",
        "{prefix}//video/360p/1.m4s",
        "{prefix}/video//360p/1.m4s",
        "{prefix}/./video/360p/1.m4s",
        "{prefix}/video/360p/1.m4s/",
        "{prefix}/video/360p/",
        "{prefix}/video/360p",
        "{prefix}/",
        "{prefix}",
        "{prefix}//etc/passwd",
        "//etc/passwd",
        "/api/v1/content/../../../etc/passwd",
        "/api/v1/content/..",
        "{prefix}/%ff%fe",
        "{prefix}/%zz",
        "{prefix}/" + "a/" * 4000 + "b",
        "{prefix}/" + "a" * 300,
        "*",
    ],
)
async def test_nasty_paths_are_404(site: Any, etag: str, target: str) -> None:
    store = site.directory.parent.parent
    for place in (store, store.parent):
        (place / "secret").write_text("the secret")
    path = target.format(prefix=site.prefix)
    answer = await site.raw_get(path)
    assert answer.split(b" ")[1] == b"404"
    assert b"the secret" not in answer


async def test_overlong_target_is_refused(site: Any) -> None:
    path = "/api/v1/content/" + "x" * 70_000
    answer = await site.raw(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"404", b"414")


async def test_percent_encoding_is_undone_once(site: Any, etag: str) -> None:
    answer = await site.raw_get(f"{site.prefix}/%76ideo/360p/1.m4s")
    assert answer.split(b" ")[1] == b"200"
    assert etag.encode() in answer


async def test_symbolic_links_in_the_store_are_not_followed(
    site: Any, etag: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "2.m4s").write_text("secret")
    package = site.directory
    (package / "video/360p/2.m4s").symlink_to(outside / "2.m4s")
    (package / "audio").mkdir()
    (package / "audio/main").symlink_to(outside)
    for path in ("video/360p/2.m4s", "audio/main/2.m4s"):
        answer = await site.get(path)
        assert answer.status_code == 503, path
        assert b"secret" not in answer.content


async def test_directory_under_a_promised_name_is_no_object(site: Any, etag: str) -> None:
    (site.directory / "video/360p/3.m4s").mkdir()
    assert (await site.get("video/360p/3.m4s")).status_code == 503


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
async def test_other_methods_are_405_with_allow(site: Any, etag: str, method: str) -> None:
    for path in (f"{site.prefix}/{SEGMENT}", "/healthz"):
        answer = await site.client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_preflight_allows_ranges_from_any_origin(site: Any) -> None:
    answer = await site.client.options(
        f"{site.prefix}/{SEGMENT}",
        headers={
            "origin": "https://example.org",
            "access-control-request-method": "GET",
            "access-control-request-headers": "range",
        },
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "*"
    assert "GET" in answer.headers["access-control-allow-methods"]


async def test_errors_are_readable_from_any_origin(site: Any) -> None:
    assert (await site.get("x")).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/api/v1/contents", "/api/v1/content", "/healthz/", "/x"])
async def test_other_paths_are_404(site: Any, path: str) -> None:
    answer = await site.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["status"] == 404


async def test_service_is_ready_without_a_broker_and_counts_requests(site: Any, etag: str) -> None:
    assert (await site.client.get("/healthz")).json() == {"status": "ok"}
    ready = await site.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "checks": {"store": "ok"}})
    metrics = await site.client.get("/metrics")
    assert 'reelay_content_requests_total{status="200"}' in metrics.text


async def test_connection_is_kept_for_many_requests_and_closed_when_asked(
    site: Any, etag: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.program.port)
    request = f"GET {site.prefix}/{SEGMENT} HTTP/1.1\r\nhost: a\r\nrange: bytes=0-9\r\n"
    writer.write(f"{request}\r\n{request}\r\n".encode())
    for _ in range(2):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"206" in head.splitlines()[0]
        assert await reader.readexactly(10) == DATA[:10]
    writer.write(f"{request}connection: close\r\n\r\n".encode())
    assert (await reader.read()).endswith(DATA[:10])
    writer.close()


async def test_small_object_changes_nothing_when_it_comes_from_memory(site: Any, etag: str) -> None:
    playlist = b"#EXTM3U\n" * 20
    await site.put("master.m3u8", playlist)
    for _ in range(20):
        answer = await site.get("master.m3u8")
        assert (answer.status_code, answer.content) == (200, playlist)
        assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
        part = await site.get("master.m3u8", headers={"range": "bytes=3-5"})
        assert (part.status_code, part.content) == (206, playlist[3:6])
    several = await site.get("master.m3u8", headers={"range": "bytes=0-1,-60"})
    assert (several.status_code, several.content) == (206, playlist)
    await site.store.delete(f"packages/{site.package}/master.m3u8")
    assert (await site.get("master.m3u8")).status_code == 503


async def test_small_file_that_was_replaced_is_never_served_from_memory(
    site: Any, etag: str, tmp_path: Path
) -> None:
    await site.put("master.m3u8", b"right")
    for _ in range(5):
        assert (await site.get("master.m3u8")).content == b"right"
    (tmp_path / "other").write_bytes(b"wrong")
    place = site.directory / "master.m3u8"
    place.unlink()
    place.symlink_to(tmp_path / "other")
    assert (await site.get("master.m3u8")).status_code == 503


async def test_simultaneous_readers_all_get_the_same_bytes(site: Any, etag: str) -> None:
    answers: list[httpx.Response] = await asyncio.gather(*(site.get(SEGMENT) for _ in range(100)))
    assert {answer.content for answer in answers} == {DATA}


async def test_segment_that_many_ask_for_at_once_is_whole_every_time(site: Any) -> None:
    await site.plan()
    content = os.urandom(1_500_000)
    await site.put(SEGMENT, content)

    async def ask() -> list[tuple[int, bool, str]]:
        answers = [await site.get(SEGMENT) for _ in range(10)]
        return [(a.status_code, a.content == content, a.headers["etag"]) for a in answers]

    asked = await asyncio.gather(*(ask() for _ in range(40)))
    answers = [answer for some in asked for answer in some]
    assert len(answers) == 400
    assert len(set(answers)) == 1
    assert answers[0][:2] == (200, True)
