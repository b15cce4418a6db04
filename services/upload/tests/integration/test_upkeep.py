"""Sources are collected when no video needs them, and verified by their bytes."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from reelay.common.events import AssetUploaded, VideoDeleted
from reelay.common.storage.port import read_all

from .client import PART, asset_id_of, movie
from .conftest import BOTH_STORES, System

pytestmark = pytest.mark.integration

FILE = movie(PART + 1000)


async def ask(system: System, what: str, *scopes: str, **order: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {system.token('root', *(scopes or ('admin',)))}"}
    return await system.client.http.post(f"/api/v1/sources/{what}", headers=headers, json=order)


async def findings(system: System, what: str, **order: Any) -> list[dict[str, Any]]:
    answer = await ask(system, what, **order)
    assert answer.status_code == 200, answer.text
    *found, end = [json.loads(line) for line in answer.text.splitlines()]
    assert end == {"kind": "end"}
    return found


async def upload(system: System, owner: str, data: bytes) -> tuple[UUID, str]:
    """Send a file for a new video; return the video and where the source is kept."""
    video_id = await system.draft(owner)
    client = system.as_user(owner)
    path = await client.create(len(data), video_id=video_id)
    before = await system.number_of(AssetUploaded)
    assert (await client.patch(path, 0, data)).status_code == 204
    facts = await system.facts(AssetUploaded, before + 1)
    return video_id, facts[-1].source_key  # type: ignore[attr-defined]


async def delete(system: System, video_id: UUID) -> None:
    """Let the service hear that a video was deleted; return when it has."""
    await system.messaging.publish(VideoDeleted(video_id=video_id, owner_id="ada"))
    async with asyncio.timeout(20):
        while True:
            info = await system.messaging.jetstream.consumer_info("EVENTS", "upload-forget-draft")
            if not info.num_pending and not info.num_ack_pending:
                return
            await asyncio.sleep(0.02)


@BOTH_STORES
async def test_source_of_two_owners_stays_until_both_have_deleted_their_videos(
    system: System, store_kind: str
) -> None:
    first, key = await upload(system, "ada", FILE)
    second, same = await upload(system, "bob", FILE)
    assert same == key
    await delete(system, first)
    assert await findings(system, "gc", grace_s=0) == []
    await delete(system, second)
    assert await findings(system, "gc", grace_s=3600) == []
    assert await system.keys("marks/") == [key.replace("sources/", "marks/")]
    [would] = await findings(system, "gc", grace_s=0, dry_run=True)
    assert (would["name"], would["size_bytes"], would["removed"]) == (key, len(FILE), False)
    assert await read_all(system.store, key) == FILE
    [done] = await findings(system, "gc", grace_s=0)
    assert (done["kind"], done["name"], done["removed"]) == ("source", key, True)
    assert await system.keys("sources/") == await system.keys("marks/") == []
    assert await findings(system, "gc", grace_s=0) == []


async def test_file_that_comes_again_after_its_source_was_collected_is_kept(
    system: System,
) -> None:
    video_id, first = await upload(system, "ada", FILE)
    await delete(system, video_id)
    assert len(await findings(system, "gc", grace_s=0)) == 1
    _, second = await upload(system, "ada", FILE)
    assert second != first
    assert await findings(system, "gc", grace_s=0) == []
    assert await read_all(system.store, second) == FILE
    assert [v["damaged"] for v in await findings(system, "verify")] == [[]]


async def test_source_that_is_needed_again_loses_its_mark(system: System) -> None:
    video_id, key = await upload(system, "ada", FILE)
    await delete(system, video_id)
    await findings(system, "gc", grace_s=3600)
    assert len(await system.keys("marks/")) == 1
    await upload(system, "bob", FILE)
    assert await findings(system, "gc", grace_s=0) == []
    assert await system.keys("marks/") == []
    assert await read_all(system.store, key) == FILE


async def test_uploads_under_way_and_those_without_a_video_are_not_collected(
    system: System,
) -> None:
    path = await system.client.create(len(FILE))
    assert (await system.client.patch(path, 0, FILE)).status_code == 204
    going = await system.client.create(len(FILE), video_id=await system.draft())
    assert (await system.client.patch(going, 0, FILE[:PART])).status_code == 204
    assert await findings(system, "gc", grace_s=0) == []
    assert (await system.client.patch(going, PART, FILE[PART:])).status_code == 204
    assert len(await system.keys("sources/")) == 1


async def test_source_that_no_upload_knows_is_collected(system: System) -> None:
    stray = f"sources/{uuid4()}"
    await system.store.put(stray, b"x")
    assert await findings(system, "gc", grace_s=3600) == []
    assert [r["name"] for r in await findings(system, "gc", grace_s=0)] == [stray]


@BOTH_STORES
@pytest.mark.parametrize("size_bytes", [1000, PART, 2 * PART + 1])
async def test_asset_id_is_recomputed_from_the_store(
    system: System, size_bytes: int, store_kind: str
) -> None:
    data = movie(size_bytes)
    _, key = await upload(system, "ada", data)
    [verdict] = await findings(system, "verify")
    assert (verdict["name"], verdict["damaged"]) == (asset_id_of(data), [])
    await system.store.delete(key)
    await system.store.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    [verdict] = await findings(system, "verify", names=[asset_id_of(data)], repair=True)
    assert "has the asset_id" in verdict["damaged"][0]["problem"]
    assert "another upload" in verdict["repair"]
    await system.store.delete(key)
    [verdict] = await findings(system, "verify")
    assert verdict["damaged"] == [{"path": key, "problem": "is missing"}]


async def test_administrators_alone_may_collect_and_verify(system: System) -> None:
    for what in ("gc", "verify"):
        assert (await ask(system, what, "upload")).status_code == 403
        answer = await system.client.http.post(f"/api/v1/sources/{what}", json={})
        assert answer.status_code == 401
    for order in ({"grace_s": -1}, {"grace_s": 1e12}, {"dry_run": "maybe"}):
        assert (await ask(system, "gc", **order)).status_code == 422


@pytest.mark.parametrize("grace_s", [False, "0", "1e3"])
async def test_grace_that_is_no_number_collects_nothing(system: System, grace_s: object) -> None:
    """`false` was once taken for 0 s, which removes everything at once."""
    stray = f"sources/{uuid4()}"
    await system.store.put(stray, b"x")
    assert (await ask(system, "gc", grace_s=grace_s)).status_code == 422
    assert (await ask(system, "gc", dry_run=0)).status_code == 422
    assert await system.keys("sources/") == [stray]


@pytest.mark.parametrize(
    "names", [["a\x00b"], ["A" * 64], [""], ["0" * 64 + "\n"], ["0" * 64] * 10_001, [7], "0" * 64]
)
async def test_names_that_no_asset_has_are_refused(system: System, names: object) -> None:
    answer = await ask(system, "verify", names=names)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
