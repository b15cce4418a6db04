"""What is too much is refused, and the refusal names the limit."""

import asyncio

import pytest

from reelay.common.events import AssetUploaded, VideoDeleted

from .client import PART, asset_id_of, checksum, movie
from .configuration import limited
from .conftest import System

pytestmark = pytest.mark.integration


@limited(max_size_bytes=5000)
async def test_file_beyond_the_set_size_is_refused(system: System) -> None:
    options = await system.client.http.options("/api/v1/uploads")
    assert options.headers["tus-max-size"] == "5000"
    assert (await system.client.post(5000)).status_code == 201
    response = await system.client.post(5001)
    assert (response.status_code, response.json()["type"]) == (413, "too-large")
    assert "at most 5000 bytes" in response.json()["detail"]


@limited(max_size_bytes=5000)
async def test_pieces_that_are_too_much_together_are_not_joined(system: System) -> None:
    paths = [await system.client.partial(movie(3000)) for _ in range(2)]
    response = await system.client.join(paths)
    assert response.status_code == 413
    assert "at most 5000 bytes" in response.json()["detail"]


@limited(quota_bytes=10_000)
async def test_user_s_files_may_not_take_more_than_the_quota(system: System) -> None:
    video_id = await system.draft()
    path = await system.client.create(6000, video_id=video_id)
    assert (await system.client.patch(path, 0, movie(6000))).status_code == 204
    response = await system.client.post(4001)
    assert (response.status_code, response.json()["type"]) == (413, "quota-exceeded")
    said = "Your uploads may take 9.77 KiB in all; 5.86 KiB are taken, and this file needs 3.91 KiB"
    assert response.json()["detail"].startswith(said)
    assert (await system.as_user("eve").post(4001)).status_code == 201, "others have their own"
    assert (await system.client.post(4000)).status_code == 201
    assert (await system.client.post(1)).status_code == 413, "unfinished ones count too"

    await system.messaging.publish(VideoDeleted(video_id=video_id, owner_id="ada"))
    for _ in range(200):
        if (response := await system.client.post(6000)).status_code == 201:
            break
        await asyncio.sleep(0.02)
    assert response.status_code == 201, "a deleted video makes room"


@limited(quota_bytes=10_000)
async def test_many_creations_at_once_do_not_exceed_the_quota(system: System) -> None:
    answers = await asyncio.gather(*[system.client.post(3000) for _ in range(10)])
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] * 3 + [413] * 7


@limited(quota_bytes=10_000)
async def test_pieces_count_once_however_they_are_joined(system: System) -> None:
    paths = [await system.client.partial(movie(4000)) for _ in range(2)]
    assert (await system.client.begin(Upload_Length=2001, Upload_Concat="partial")).is_error
    assert (await system.client.join(paths)).status_code == 201
    assert (await system.client.post(2001)).status_code == 413
    assert (await system.client.post(2000)).status_code == 201


@limited(quota_bytes=PART + 1000)
async def test_file_of_unknown_length_may_not_outgrow_the_quota(system: System) -> None:
    begun = await system.client.begin(Upload_Defer_Length=1)
    path = begun.headers["location"]
    data = movie(2 * PART)
    assert (await system.client.patch(path, 0, data[: PART + 900])).status_code == 204
    response = await system.client.patch(path, PART + 900, data[PART + 900 :])
    assert (response.status_code, response.json()["type"]) == (413, "quota-exceeded")
    assert await system.client.offset(path) == PART + 900
    end = await system.client.patch(path, PART + 900, data[:100], Upload_Length=PART + 1000)
    assert end.status_code == 204


@limited(quota_bytes=3 * PART)
async def test_what_was_stored_of_a_file_of_unknown_length_counts_whatever_its_checksum(
    system: System,
) -> None:
    begun = await system.client.begin(Upload_Defer_Length=1)
    path, wrong = begun.headers["location"], checksum("sha256", b"something else")
    for _ in range(2):
        response = await system.client.patch(path, 0, movie(2 * PART + 1), Upload_Checksum=wrong)
        assert response.status_code == 460
    assert (await system.client.post(PART + 1)).status_code == 413
    response = await system.client.patch(path, 0, movie(4 * PART + 1), Upload_Checksum=wrong)
    assert (response.status_code, response.json()["type"]) == (413, "quota-exceeded")
    assert await system.client.offset(path) == 0
    assert (await system.client.post(PART)).status_code == 413, "three parts are reserved"


@limited(max_unfinished=2)
async def test_user_may_begin_only_so_many_uploads_at_a_time(system: System) -> None:
    first, _ = [await system.client.create(5000) for _ in range(2)]
    response = await system.client.post(5000)
    assert (response.status_code, response.json()["type"]) == (429, "too-many-uploads")
    assert "may have 2 at a time" in response.json()["detail"]
    assert (await system.as_user("eve").post(5000)).status_code == 201
    assert (await system.client.patch(first, 0, movie(5000))).status_code == 204
    assert (await system.client.post(5000)).status_code == 201


@pytest.mark.parametrize("limit_file_bytes", [2 * PART])
async def test_full_store_is_told_and_keeps_what_was_stored(
    system: System, limit_file_bytes: int
) -> None:
    data = movie(4 * PART)
    path = await system.client.create(len(data))
    response = await system.client.patch(path, 0, data)
    assert (response.status_code, response.json()["type"]) == (507, "store-full")
    assert "no room left" in response.json()["detail"]
    assert await system.client.offset(path) == 2 * PART
    again = await system.client.patch(path, 2 * PART, data[2 * PART :])
    assert again.status_code == 507
    assert await system.number_of(AssetUploaded) == 0
    small = movie(1000)
    other = await system.client.create(len(small))
    assert (await system.client.patch(other, 0, small)).status_code == 204
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact.asset_id == asset_id_of(small)
