"""Pieces sent side by side become one file (tus 1.0, section Concatenation)."""

import asyncio

import pytest

from reelay.common.events import AssetUploaded, AssetUploadStarted, AssetUploadTerminated

from .client import PART, asset_id_of, id_of, metadata, movie
from .conftest import BOTH_STORES, System
from .outcomes import is_announced

pytestmark = pytest.mark.integration


async def pieces_of(system: System, data: bytes, cuts: list[int]) -> list[str]:
    """Send a file as partial uploads at the same time."""
    edges = zip([0, *cuts], [*cuts, len(data)], strict=True)
    return await asyncio.gather(*[system.client.partial(data[a:b]) for a, b in edges])


@BOTH_STORES
@pytest.mark.parametrize("cuts", [[2000, 3000], [PART - 5, 2 * PART], [PART]])
async def test_joined_pieces_are_the_asset_that_the_plain_file_is(
    system: System, store_kind: str, cuts: list[int]
) -> None:
    video_id = await system.draft()
    data = movie(2 * PART + 500_000)
    paths = await pieces_of(system, data, cuts)
    assert (await system.client.head(paths[0])).headers["upload-concat"] == "partial"
    assert await system.number_of(AssetUploadStarted) == 0, "a piece is no file"

    response = await system.client.join(paths, video_id=video_id, filename="whole.mp4")
    assert (response.status_code, response.headers["upload-offset"]) == (201, str(len(data)))
    final = response.headers["location"]
    await is_announced(system, final, data, video_id=video_id, filename="whole.mp4")
    head = await system.client.head(final)
    assert head.headers["upload-concat"] == "final;" + " ".join(paths)
    assert head.headers["upload-length"] == head.headers["upload-offset"] == str(len(data))
    assert head.headers["upload-metadata"] == metadata(video_id=video_id, filename="whole.mp4")


async def test_same_bytes_joined_and_plain_are_stored_once(system: System) -> None:
    data = movie(PART + 1000)
    plain = await system.client.create(len(data))
    await system.client.patch(plain, 0, data)
    paths = await pieces_of(system, data, [100])
    assert (await system.client.join(paths)).status_code == 201
    first, second = await system.facts(AssetUploaded, 2)
    assert first.asset_id == second.asset_id
    assert await system.keys("sources/") == [first.source_key]


async def test_joining_asked_for_twice_makes_one_file(system: System) -> None:
    data = movie(10_000)
    paths = await pieces_of(system, data, [4000])
    answers = [await system.client.join(paths) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert await system.number_of(AssetUploaded) == 1
    assert await system.client.offset(paths[0]) == 4000, "a client that resumes finds it whole"
    other = await system.client.join(paths[::-1])
    assert (other.status_code, other.json()["type"]) == (409, "not-joinable")


async def test_unfinished_pieces_are_not_joined(system: System) -> None:
    whole = await system.client.partial(movie(5000))
    begun = await system.client.begin(Upload_Length=100, Upload_Concat="partial")
    plain = await system.client.create(5000)
    for paths in ([whole, begun.headers["location"]], [whole, plain]):
        response = await system.client.join(paths)
        assert (response.status_code, response.json()["type"]) == (409, "not-joinable")
    assert (await system.client.join([whole, whole])).status_code == 400
    assert (await system.client.join([whole])).status_code == 201


async def test_pieces_of_somebody_else_are_not_joined(system: System) -> None:
    ours = await system.client.partial(movie(5000))
    theirs = await system.as_user("eve").partial(movie(5000))
    assert (await system.client.join([ours, theirs])).status_code == 403


async def test_joined_text_is_refused_and_leaves_nothing(system: System) -> None:
    paths = [await system.client.partial(b"Dear diary, "), await system.client.partial(b"today")]
    response = await system.client.join(paths)
    assert (response.status_code, response.json()["detail"]) == (
        415,
        "This is a text file, not a video.",
    )
    [fact] = await system.facts(AssetUploadTerminated, 1)
    assert fact.reason == "This is a text file, not a video."
    assert [*await system.keys("sources/"), *await system.keys("staging/")] == []
    assert (await system.client.join(paths)).status_code == 415
    assert (await system.client.head(paths[0])).status_code == 410


async def test_final_upload_takes_no_bytes(system: System) -> None:
    paths = [await system.client.partial(movie(5000))]
    final = (await system.client.join(paths)).headers["location"]
    response = await system.client.patch(final, 5000, b"")
    assert (response.status_code, response.json()["type"]) == (403, "final-upload")
    assert (await system.client.delete(final)).status_code == 409


async def test_piece_may_be_withdrawn_until_it_is_joined(system: System) -> None:
    first, second = [await system.client.partial(movie(5000)) for _ in range(2)]
    assert (await system.client.delete(first)).status_code == 204
    assert await system.keys(f"staging/uploads/{id_of(first)}/") == []
    await system.client.join([second])
    assert (await system.client.delete(second)).status_code == 409


async def test_length_of_a_piece_may_be_deferred(system: System) -> None:
    data = movie(PART + 5)
    begun = await system.client.begin(Upload_Defer_Length=1, Upload_Concat="partial")
    path = begun.headers["location"]
    assert (await system.client.patch(path, 0, data)).status_code == 204
    assert (await system.client.patch(path, len(data), b"", Upload_Length=len(data))).is_success
    assert (await system.client.join([path])).status_code == 201
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact.asset_id == asset_id_of(data)
