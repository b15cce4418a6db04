"""A file is imported whole from whatever server gives it, however often that breaks off."""

import asyncio

import pytest

from reelay.common.events import AssetUploaded

from .client import PART, movie
from .conftest import BOTH_STORES, System
from .importing import LOOPBACK, Importer, with_settings
from .origin import File, Origin, in_turn, says
from .outcomes import is_announced, is_stored, nothing_is_stored, second_is_no_copy

pytestmark = pytest.mark.integration


@pytest.fixture
def extra_settings() -> dict[str, str]:
    return LOOPBACK


@BOTH_STORES
async def test_imported_file_is_the_asset_that_an_upload_of_it_would_be(
    system: System, importer: Importer, origin: Origin, store_kind: str
) -> None:
    data = movie(2 * PART + 1000)
    url = origin.serve("/films/my%20film.mp4?x=1", File(data))
    video_id = await system.draft()
    response = await importer.post(url, video_id=video_id)
    assert response.status_code == 202
    assert response.headers["cache-control"] == "no-store"
    begun = response.json()
    assert begun["state"] == "importing"
    assert response.headers["location"] == f"/api/v1/imports/{begun['id']}"

    done = await importer.until(response.headers["location"])
    assert done == begun | {
        "state": "complete",
        "filename": "my film.mp4",
        "received_bytes": len(data),
        "size_bytes": len(data),
    }
    path = response.headers["location"]
    await is_announced(system, path, data, video_id=video_id, filename="my film.mp4")
    assert len(origin.asked) == 1


async def test_second_copy_of_a_known_file_is_not_kept(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(PART + 5)
    path = await system.client.create(len(data))
    assert (await system.client.patch(path, 0, data)).status_code == 204
    done = await importer.ended(origin.serve("/copy", File(data)), filename="of/mine.mp4")
    assert (done["state"], done["filename"]) == ("complete", "mine.mp4")
    await second_is_no_copy(system)


@pytest.mark.parametrize("size_bytes", [100, 5000, PART, PART + 1], ids=str)
async def test_file_of_untold_length_is_imported(
    system: System, importer: Importer, origin: Origin, size_bytes: int
) -> None:
    data = movie(size_bytes)
    done = await importer.ended(origin.serve("/live", File(data, chunked=True)))
    assert (done["state"], done["size_bytes"]) == ("complete", size_bytes)
    await is_stored(system, data)


async def test_broken_connection_goes_on_where_it_broke(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(2 * PART + 1000)
    file = File(data, breaks=[PART + 70_000, PART + 80_000, 2 * PART])
    done = await importer.ended(origin.serve("/film", file))
    assert done["state"] == "complete"
    await is_stored(system, data)
    said = [None, f"bytes={PART + 70_000}-", f"bytes={PART + 80_000}-", f"bytes={2 * PART}-"]
    assert origin.ranges_asked() == said
    assert {asked.headers.get("if-range") for asked in origin.asked[1:]} == {'"first"'}


@pytest.mark.parametrize("file", [{"ranges": False}, {"etag": None}, {"etag": 'W/"weak"'}], ids=str)
async def test_server_that_cannot_go_on_is_read_anew_and_compared(
    system: System, importer: Importer, origin: Origin, file: dict[str, object]
) -> None:
    data = movie(PART + 100_000)
    url = origin.serve("/film", File(data, breaks=[PART + 7, 100, PART + 50_000], **file))  # type: ignore[arg-type]  # its fields
    assert (await importer.ended(url))["state"] == "complete"
    await is_stored(system, data)
    assert len(origin.asked) == 4


async def test_file_that_changed_between_two_tries_is_given_up(
    system: System, importer: Importer, origin: Origin
) -> None:
    old = File(movie(PART + 100_000, seed=1), breaks=[PART + 7])
    new = File(movie(PART + 100_000, seed=2), etag='"second"')
    done = await importer.ended(origin.serve("/film", in_turn(old, new)))
    assert (done["state"], done["problem"]) == ("failed", "file-changed")
    assert (
        done["reason"] == "The file changed on its server while it was imported; import it again."
    )
    await nothing_is_stored(system)
    assert await system.number_of(AssetUploaded) == 0


async def test_new_file_never_follows_an_old_one_s_beginning(
    system: System, importer: Importer, origin: Origin
) -> None:
    """The new file breaks before it differs from what is stored; nobody may go on with it there."""
    old = movie(PART + 100_000, seed=1)
    new = old[:PART] + movie(100_000, seed=2)
    first = File(old, breaks=[PART + 50_000])
    second = File(new, etag='"second"', breaks=[1000, PART + 3, PART])
    done = await importer.ended(origin.serve("/film", in_turn(first, second)))
    assert (done["state"], done["problem"]) == ("failed", "file-changed")
    assert await system.number_of(AssetUploaded) == 0


async def test_answer_with_another_range_is_not_taken(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(PART + 100_000)
    file = File(data, breaks=[PART + 7])
    whole = f"Content-Range: bytes 0-{len(data) - 1}/{len(data)}"
    shifted = says("206 Partial Content", whole, body=data[:5000])
    done = await importer.ended(origin.serve("/film", in_turn(file, shifted, file)))
    assert done["state"] == "complete"
    await is_stored(system, data)
    assert origin.ranges_asked() == [None, f"bytes={PART + 7}-", None]


async def test_server_that_is_busy_is_asked_again(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(10_000)
    answers = in_turn(says("503 Busy"), says("429 Slow down"), File(data))
    done = await importer.ended(origin.serve("/film", answers))
    assert done["state"] == "complete"
    await is_stored(system, data)


async def test_redirects_are_followed(system: System, importer: Importer, origin: Origin) -> None:
    data = movie(10_000)
    origin.serve("/a/film", says("302 Found", "Location: ../b?x=1#y"))
    origin.serve("/b?x=1", says("308 Moved", f"Location: {origin.serve('/c', File(data))}"))
    done = await importer.ended(origin.url + "/a/film")
    assert (done["state"], done["filename"]) == ("complete", "film")
    await is_stored(system, data)


@with_settings(import_stall_limit_s=1, import_tries=1000)
async def test_silent_server_is_left_and_asked_again(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(PART + 100_000)
    file = File(data, gates={PART + 50_000: asyncio.Event()})
    path = await importer.begin(origin.serve("/film", file))
    state = await importer.until(path, problem="too-slow")
    assert state["state"] == "importing"
    assert state["reason"] == "The server sends nothing, or next to nothing."
    assert state["received_bytes"] == PART + 50_000, "what came is kept"
    file.gates.clear()
    assert (await importer.until(path))["state"] == "complete"
    await is_stored(system, data)
