"""What is not accepted is refused with a reason, and leaves nothing behind."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from reelay.common.events import AssetUploaded, AssetUploadTerminated, VideoDeleted, VideoDrafted
from reelay.common.identity import MAX_ASSET_BYTES, new_id

from .client import OCTETS, PART, TusClient, id_of, movie
from .conftest import BOTH_STORES, System

pytestmark = pytest.mark.integration

TEXT = b"Dear diary, today I renamed a letter to holiday.mp4.\n" * 1000


async def nothing_is_stored(system: System) -> bool:
    return not [*await system.keys("sources/"), *await system.keys("staging/")]


@BOTH_STORES
async def test_text_renamed_to_mp4_is_refused_and_removed(system: System, store_kind: str) -> None:
    video_id = await system.draft()
    path = await system.client.create(len(TEXT), video_id=video_id, filename="holiday.mp4")
    early = await system.client.patch(path, 0, TEXT[:1000])
    assert early.status_code == 204, "too few bytes to tell"
    response = await system.client.patch(path, 1000, TEXT[1000:])
    assert response.status_code == 415
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "This is a text file, not a video."
    assert response.json()["type"] == "not-media"
    [fact] = await system.facts(AssetUploadTerminated, 1)
    reason = "This is a text file, not a video."
    assert fact == AssetUploadTerminated(upload_id=id_of(path), video_id=video_id, reason=reason)
    assert await nothing_is_stored(system)
    assert (await system.client.head(path)).status_code == 415


async def test_large_refused_body_still_gets_its_answer(system: System) -> None:
    data = b"PK\x03\x04" + movie(8 * PART)
    path = await system.client.create(len(data))
    response = await system.client.patch(path, 0, data)
    assert response.status_code == 415
    assert "ZIP" in response.json()["detail"]
    assert await nothing_is_stored(system)


async def test_short_text_sent_with_the_creation_is_refused(system: System) -> None:
    response = await system.client.post(11, b"#EXTM3U\n#EX")
    assert response.status_code == 415
    assert response.json()["detail"] == "This is a playlist (.m3u8), not a video."
    assert await nothing_is_stored(system)


async def test_empty_file_is_refused(system: System) -> None:
    response = await system.client.post(0)
    assert (response.status_code, response.json()["type"]) == (422, "empty-file")


async def test_file_beyond_the_limit_is_refused(system: System) -> None:
    assert (await system.client.post(MAX_ASSET_BYTES)).status_code == 201
    assert (await system.client.post(MAX_ASSET_BYTES + 1)).status_code == 413
    for size_bytes in (99999999999999999999, 10**3000):
        response = await system.client.post(size_bytes)
        assert response.status_code == 413
        assert (
            response.json()["detail"]
            == f"Files may have at most {MAX_ASSET_BYTES} bytes (78.1 GiB)."
        )


async def test_bytes_beyond_the_announced_length_are_not_kept(system: System) -> None:
    data = movie(10_000)
    path = await system.client.create(5000)
    await system.client.patch(path, 0, data[:1000])
    response = await system.client.patch(path, 1000, data[1000:])
    assert (response.status_code, response.json()["type"]) == (413, "beyond-upload-length")

    async def blocks() -> AsyncIterator[bytes]:
        yield data[1000:5000]
        yield data[5000:]

    response = await system.client.patch(path, 1000, blocks())
    assert response.status_code == 413
    assert await system.client.offset(path) == 1000
    assert await system.number_of(AssetUploaded) == 0
    assert (await system.client.patch(path, 1000, data[1000:5000])).status_code == 204


async def test_creation_with_too_many_bytes_leaves_nothing(system: System) -> None:
    assert (await system.client.post(100, movie(200))).status_code == 413
    assert await nothing_is_stored(system)


async def test_wrong_offset_is_a_conflict(system: System) -> None:
    path = await system.client.create(5000)
    response = await system.client.patch(path, 7, movie(100))
    assert response.status_code == 409
    assert "stands at 0" in response.json()["detail"]


async def test_wrong_content_type_is_refused(system: System) -> None:
    path = await system.client.create(5000)
    headers = system.client.headers(Upload_Offset=0, Content_Type="video/mp4")
    response = await system.client.http.patch(path, headers=headers, content=movie(5000))
    assert response.status_code == 415
    assert OCTETS in response.json()["detail"]


async def test_other_protocol_version_is_refused(system: System) -> None:
    path = await system.client.create(5000)
    for version in ({}, {"Tus-Resumable": "0.2.2"}):
        headers = {"Authorization": f"Bearer {system.client.token}", **version}
        response = await system.client.http.head(path, headers=headers)
        assert response.status_code == 412
        assert response.headers["tus-resumable"] == "1.0.0"
        assert response.headers["tus-version"] == "1.0.0"
    assert "tus-version" not in (await system.client.head(path)).headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "1e3"}, 400),
        ({"Upload-Defer-Length": "2"}, 400),
        ({"Upload-Defer-Length": "1", "Upload-Length": "10"}, 400),
        ({"Upload-Length": "10", "Upload-Concat": "parts"}, 400),
        ({"Upload-Concat": "final;"}, 400),
        ({"Upload-Concat": "final;/api/v1/videos/018f0000-0000-7000-8000-000000000000"}, 400),
        ({"Upload-Concat": "final;http://[", "Upload-Length": "10"}, 400),
        ({"Upload-Concat": "final;/api/v1/uploads/018f0000-0000-7000-8000-000000000000"}, 409),
        ({"Upload-Length": "10", "Upload-Metadata": "filename %%%"}, 400),
        ({"Upload-Length": "10", "Upload-Metadata": "video_id bm90LWEtdXVpZA=="}, 422),
    ],
)
async def test_creation_that_makes_no_sense_is_refused(
    system: System, headers: dict[str, str], status: int
) -> None:
    response = await system.client.http.post(
        "/api/v1/uploads", headers=system.client.headers() | headers
    )
    assert response.status_code == status, response.text


async def test_unknown_video_is_refused(system: System) -> None:
    response = await system.client.post(5000, video_id=uuid4())
    assert (response.status_code, response.json()["type"]) == (422, "unknown-video")


async def test_draft_whose_news_is_late_is_waited_for_and_then_asked_for_again(
    system: System,
) -> None:
    video_id = new_id()
    sooner = await system.client.post(5000, video_id=video_id)
    assert (sooner.status_code, sooner.json()["type"]) == (503, "draft-not-heard-of")
    await system.messaging.publish(VideoDrafted(video_id=video_id, owner_id="ada", title="Late"))
    assert (await system.client.post(5000, video_id=video_id)).status_code == 201


async def test_upload_to_a_deleted_video_is_refused(system: System) -> None:
    video_id = await system.draft()
    await system.client.create(5000, video_id=video_id)
    await system.messaging.publish(VideoDeleted(video_id=video_id, owner_id="ada"))
    for _ in range(100):
        response = await system.client.post(5000, video_id=video_id)
        if response.status_code != 201:
            break
    assert response.status_code == 422
    assert response.json()["detail"] == "This video was deleted."


async def test_only_the_owner_and_administrators_may_touch_an_upload(system: System) -> None:
    video_id = await system.draft("ada")
    path = await system.client.create(5000, video_id=video_id)
    eve, root = system.as_user("eve"), system.as_user("root", "admin")
    assert (await eve.post(5000, video_id=video_id)).status_code == 403
    assert (await eve.head(path)).status_code == 403
    assert (await eve.patch(path, 0, movie(5000))).status_code == 403
    assert (await eve.delete(path)).status_code == 403
    assert (await root.post(5000, video_id=video_id)).status_code == 201
    assert (await root.patch(path, 0, movie(5000))).status_code == 204


async def test_requests_without_a_valid_token_are_refused(system: System) -> None:
    path = await system.client.create(5000)
    stranger = TusClient(system.client.http, None)
    forged = TusClient(system.client.http, f"{system.client.token}x")
    reader = system.as_user("ada", "read")
    for client, status in ((stranger, 401), (forged, 401), (reader, 403)):
        assert (await client.post(5000)).status_code == status
        assert (await client.head(path)).status_code == status
        assert (await client.patch(path, 0, movie(5000))).status_code == status
        assert (await client.delete(path)).status_code == status
    refused = await stranger.post(5000)
    assert refused.headers["www-authenticate"] == "Bearer"
