"""What may not be imported is not, and whoever asked is told why."""

import asyncio
from uuid import uuid4

import pytest

from reelay.common.events import AssetUploaded, AssetUploadTerminated
from reelay.common.identity import new_id

from .client import PART, TusClient, id_of, movie
from .conftest import System
from .importing import LOOPBACK, Importer, with_settings
from .origin import File, Origin, in_turn, says
from .outcomes import is_stored, nothing_is_stored

pytestmark = pytest.mark.integration

NO_NETWORK = pytest.mark.parametrize("extra_settings", [{}], ids=["default"])


def dripping() -> File:
    """Return a file that takes its server 50 s."""
    return File(movie(1_000_000), block_bytes=1000, block_pause_s=0.05)


@pytest.fixture
def extra_settings() -> dict[str, str]:
    return LOOPBACK


@NO_NETWORK
async def test_private_addresses_are_refused_at_once(system: System, importer: Importer) -> None:
    for host in ("127.0.0.1", "[::1]", "10.1.2.3", "169.254.169.254", "[::ffff:127.0.0.1]"):
        response = await importer.post(f"http://{host}/latest/meta-data")
        assert (response.status_code, response.json()["type"]) == (422, "private-address"), host
    assert await system.number_of(AssetUploaded) == 0


@NO_NETWORK
async def test_names_of_private_addresses_are_found_out(
    system: System, importer: Importer, origin: Origin
) -> None:
    """Names, and numbers in notations that only resolvers know."""
    for host in ("localhost", "2130706433", "0x7f.1", "127.1"):
        done = await importer.ended(f"http://{host}:{origin.port}/film.mp4")
        assert (done["state"], done["problem"]) == ("failed", "private-address"), host
        assert done["reason"] == "Files are imported from public addresses only."
    assert origin.asked == []
    assert origin.most_open == 0


async def test_redirects_to_private_addresses_are_not_followed(
    system: System, importer: Importer, origin: Origin
) -> None:
    """127.0.0.1 alone is allowed here."""
    for target, problem in (
        (f"http://127.0.0.2:{origin.port}/film", "private-address"),
        (f"http://[::1]:{origin.port}/film", "private-address"),
        ("http://169.254.169.254/latest", "private-address"),
        ("file:///etc/passwd", "url-not-allowed"),
        (f"http://ada:secret@127.0.0.1:{origin.port}/film", "url-not-allowed"),
        (f"http://127.0.0.1:{22}/film", "url-not-allowed"),
        ("http://[", "url-not-allowed"),
    ):
        url = origin.serve("/away", says("302 Found", f"Location: {target}"))
        done = await importer.ended(url)
        assert (done["state"], done["problem"]) == ("failed", problem), target
    assert {asked.path for asked in origin.asked} == {"/away"}


async def test_endless_redirects_end(system: System, importer: Importer, origin: Origin) -> None:
    done = await importer.ended(origin.serve("/a", says("307 Again", "Location: /a")))
    assert (done["state"], done["problem"]) == ("failed", "too-many-redirects")
    assert len(origin.asked) == 6


async def test_bad_orders_are_refused(system: System, importer: Importer) -> None:
    for url in (
        "ftp://example.org/film.mp4",
        "file:///etc/passwd",
        "http://ada:secret@example.org/film.mp4",
        "//example.org/film.mp4",
        "http://example.org:6/film.mp4",
        "http://example.org:99999/film.mp4",
        "http:///film.mp4",
        "http://example.org/my film.mp4",
        "http://example.org/\r\nX: y",
        "http://example.org/" + 5000 * "x",
        "",
    ):
        response = await importer.post(url)
        assert (response.status_code, response.json()["type"]) == (422, "url-not-allowed"), url
    for video_id in (new_id(), uuid4(), "nonsense"):
        response = await importer.post("http://192.0.2.1/", video_id=video_id)
        assert response.status_code in (422, 503), response.text
    assert (await importer.http.post("/api/v1/imports", json={})).status_code == 422


@with_settings(max_size_bytes=20_000)
async def test_file_that_is_too_large_is_refused_as_early_as_that_is_known(
    system: System, importer: Importer, origin: Origin
) -> None:
    gate = asyncio.Event()
    told = await importer.ended(origin.serve("/told", File(movie(20_001), gates={1000: gate})))
    assert (told["state"], told["problem"]) == ("failed", "too-large")
    assert told["received_bytes"] == 0
    untold = await importer.ended(origin.serve("/untold", File(movie(PART), chunked=True)))
    assert (untold["state"], untold["problem"]) == ("failed", "too-large")
    assert untold["reason"] == "Files may have at most 20000 bytes (19.5 KiB)."
    await nothing_is_stored(system)


@with_settings(quota_bytes=20_000, max_unfinished=1)
async def test_imports_count_against_their_owner_s_quotas(
    system: System, importer: Importer, origin: Origin
) -> None:
    gate = asyncio.Event()
    path = await importer.begin(origin.serve("/film", File(movie(15_000), gates={9000: gate})))
    await importer.until(path, size_bytes=15_000)
    response = await importer.post(origin.url + "/film")
    assert (response.status_code, response.json()["type"]) == (429, "too-many-uploads")
    gate.set()
    assert (await importer.until(path))["state"] == "complete"
    for chunked in (False, True):
        origin.serve("/second", File(movie(6000), chunked=chunked))
        second = await importer.ended(origin.url + "/second")
        assert (second["state"], second["problem"]) == ("failed", "quota-exceeded")
        assert second["reason"].startswith("Your uploads may take 19.5 KiB in all")


async def test_what_is_no_video_is_refused_as_an_upload_would_be(
    system: System, importer: Importer, origin: Origin
) -> None:
    page = b"<!DOCTYPE html><html><title>Log in first</title></html>" * 3
    video_id = await system.draft()
    for number, chunked in enumerate((False, True)):
        url = origin.serve(f"/{number}.mp4", File(page, chunked=chunked))
        path = await importer.begin(url, **({} if number else {"video_id": video_id}))
        done = await importer.until(path)
        assert (done["state"], done["problem"]) == ("failed", "not-media")
        fact = (await system.facts(AssetUploadTerminated, number + 1))[number]
        assert fact.upload_id == id_of(path)
        assert (fact.reason, fact.video_id) == (done["reason"], None if number else video_id)
    await nothing_is_stored(system)
    empty = await importer.ended(origin.serve("/empty", File(b"")))
    assert (empty["state"], empty["problem"]) == ("failed", "empty-file")


async def test_server_s_refusals_are_passed_on(
    system: System, importer: Importer, origin: Origin
) -> None:
    absent = await importer.ended(origin.url + "/absent")
    assert (absent["state"], absent["problem"]) == ("failed", "server-refuses")
    assert absent["reason"] == "The server answers with status 404."
    packed = says("200 OK", "Content-Encoding: gzip", body=movie(5000))
    answer = await importer.ended(origin.serve("/packed", packed))
    assert (answer["state"], answer["problem"]) == ("failed", "unusable-answer")
    nowhere = await importer.ended(origin.serve("/nowhere", says("302 Found")))
    assert (nowhere["state"], nowhere["problem"]) == ("failed", "url-not-allowed")


@with_settings(import_tries=3)
async def test_server_that_never_sends_all_that_it_announced_is_given_up(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(100_000)
    short = File(data, breaks=[50_000, 50_000, 50_000, 50_000])
    done = await importer.ended(origin.serve("/short", short))
    assert (done["state"], done["problem"]) == ("failed", "server-unavailable")
    assert done["reason"].startswith("The server broke off")
    assert done["size_bytes"] == 100_000
    assert len(origin.asked) == 3
    await nothing_is_stored(system)
    gone = await importer.ended("http://127.0.0.1:1024/film")
    assert (gone["state"], gone["problem"], gone["tries"]) == ("failed", "server-unavailable", 2)


async def test_range_that_says_less_than_it_promised_is_no_end(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(PART + 100_000)
    file = File(data, breaks=[PART + 7])
    rest = f"Content-Range: bytes {PART + 7}-{len(data) - 1}/{len(data)}"
    stingy = says("206 Partial Content", rest, body=data[PART + 7 : PART + 5000])
    done = await importer.ended(origin.serve("/film", in_turn(file, stingy, file)))
    assert done["state"] == "complete"
    await is_stored(system, data)
    assert origin.ranges_asked()[2] == f"bytes={PART + 5000}-"


async def test_bytes_beyond_the_told_length_make_it_another_file(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(PART + 100_000)
    longer = File(data + b"more", chunked=True, ranges=False)
    done = await importer.ended(
        origin.serve("/film", in_turn(File(data, breaks=[PART + 7]), longer))
    )
    assert (done["state"], done["problem"]) == ("failed", "file-changed")


@with_settings(import_stall_limit_s=1, import_least_bytes_per_s=100_000, import_tries=2)
async def test_server_that_only_drips_is_given_up(
    system: System, importer: Importer, origin: Origin
) -> None:
    done = await importer.ended(origin.serve("/drips", dripping()))
    assert (done["state"], done["problem"]) == ("failed", "too-slow")
    assert "bytes a second" in done["reason"]


@with_settings(import_time_limit_s=2, import_least_bytes_per_s=0)
async def test_import_takes_no_longer_than_the_limit(
    system: System, importer: Importer, origin: Origin
) -> None:
    done = await importer.ended(origin.serve("/drips", dripping()))
    assert (done["state"], done["problem"]) == ("failed", "too-slow")
    assert done["reason"] == "The file did not come within 2 seconds."
    await nothing_is_stored(system)


async def test_import_belongs_to_who_began_it(
    system: System, importer: Importer, origin: Origin
) -> None:
    gate = asyncio.Event()
    path = await importer.begin(origin.serve("/film", File(movie(9000), gates={4096: gate})))
    eve = Importer(importer.http, system.token("eve"), origin)
    assert (await eve.get(path)).status_code == 403
    assert (await eve.delete(path)).status_code == 403
    reader = Importer(importer.http, system.token("ada", "read"), origin)
    assert (await reader.post(origin.url)).status_code == 403
    nobody = Importer(importer.http, None, origin)
    for answer in (
        await nobody.get(path),
        await nobody.delete(path),
        await nobody.post("http://x"),
    ):
        assert answer.status_code == 401
    admin = Importer(importer.http, system.token("root", "admin"), origin)
    assert (await admin.state(path))["state"] == "importing"
    assert (await importer.get(f"/api/v1/imports/{uuid4()}")).status_code == 404
    assert (await importer.get("/api/v1/imports/nonsense")).status_code == 422
    upload = await system.client.create(100)
    assert (await importer.get(f"/api/v1/imports/{id_of(upload)}")).status_code == 404
    tus = path.replace("imports", "uploads")
    sent = await TusClient(importer.http, importer.token).patch(tus, 0, b"mine")
    assert (sent.status_code, sent.json()["type"]) == (403, "final-upload")
    gate.set()
    assert (await importer.until(path))["state"] == "complete"
