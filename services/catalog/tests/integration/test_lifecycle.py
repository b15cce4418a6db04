"""A video's way, told by facts from a real broker."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from reelay.common.events import (
    AssetUploadTerminated,
    Event,
    PackageRequested,
    TranscodeFailed,
    VideoDeleted,
    VideoDrafted,
    VideoPublished,
    VideoUpdated,
)
from reelay.common.messaging import Messaging

from .system import Catalog, Film, Json, publish

pytestmark = pytest.mark.integration

E = TypeVar("E", bound=Event)


async def announced(messaging: Messaging, kind: type[E], video_id: str) -> list[E]:
    """Return all announcements of a kind about a video, once the stream has been quiet."""
    subscription = await messaging.jetstream.subscribe(
        kind.subject, ordered_consumer=True, stream="EVENTS"
    )
    found: list[E] = []
    try:
        while True:
            message = await subscription.next_msg(timeout=0.5)
            event = kind.model_validate_json(message.data)
            if str(event.video_id) == video_id:  # type: ignore[attr-defined]  # all asked for have
                found.append(event)
    except TimeoutError:
        return found
    finally:
        await subscription.unsubscribe()


async def walk(catalog: Catalog, messaging: Messaging, film: Film) -> Json:
    """Tell all facts about a film, one after the other; return the ready video."""
    assert film.video_id
    await publish(messaging, film.started())
    await catalog.until(film.video_id, state="uploading")
    await publish(messaging, film.uploaded())
    await publish(messaging, film.planned())
    await catalog.until(film.video_id, state="planned")
    await publish(messaging, film.stored(2))
    await catalog.until(film.video_id, state="playable")
    await publish(messaging, film.completed())
    return await catalog.until(film.video_id, state="ready")


async def test_video_goes_from_draft_to_ready(shared_catalog: Catalog, facts: Messaging) -> None:
    film = Film(await shared_catalog.draft("  Holiday "))
    assert film.video_id
    video = await shared_catalog.get(film.video_id)
    assert (video["title"], video["state"], video["progress"]) == ("Holiday", "draft", 0)
    assert (video["playback"], video["package_id"], video["reason"]) == (None, None, None)
    await publish(facts, film.started())
    await shared_catalog.until(film.video_id, state="uploading", playback=None)
    await publish(facts, film.uploaded())
    await publish(facts, film.planned())
    video = await shared_catalog.until(film.video_id, state="planned")
    content = f"/api/v1/content/{film.package_id}"
    assert video["package_id"] == film.package_id
    assert video["playback"] == {
        "hls": f"{content}/master.m3u8",
        "dash": f"{content}/manifest.mpd",
        "hosts": [],
        "downloads": [],
    }
    await publish(facts, film.stored(1))
    await shared_catalog.until(film.video_id, state="planned", progress=0.1)
    await publish(facts, film.stored(5))
    video = await shared_catalog.until(film.video_id, state="playable", progress=0.5)
    assert video["renditions"] == {
        "360p": {"stored": 3, "total": 5},
        "audio": {"stored": 2, "total": 5},
    }
    await publish(facts, film.completed())
    video = await shared_catalog.until(
        film.video_id, state="ready", progress=1.0, warnings=["short"]
    )
    assert list(video["renditions"]) == ["360p", "audio"], "in the order of the plan"
    assert video["renditions"] == film.all_stored


async def test_announcements_tell_states_and_not_progress(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    await walk(shared_catalog, facts, film)
    for count in (3, 4):
        await publish(facts, film.stored(count))
    drafted = await announced(facts, VideoDrafted, film.video_id)
    assert [(event.owner_id, event.title) for event in drafted] == [("admin", "A film")]
    updated = await announced(facts, VideoUpdated, film.video_id)
    assert [event.state for event in updated] == ["uploading", "planned", "playable", "ready"]
    published = await announced(facts, VideoPublished, film.video_id)
    assert [event.package_id for event in published] == [film.package_id]
    requested = await announced(facts, PackageRequested, film.video_id)
    assert [(event.asset_id, event.source_key) for event in requested] == [
        (film.asset_id, f"sources/{film.upload_id}")
    ]


async def test_package_is_requested_right_after_the_upload(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    heard: dict[str, float] = {}
    subscription = await facts.client.subscribe(PackageRequested.subject)
    waits: list[float] = []
    for _ in range(20):
        film = Film(await shared_catalog.draft())
        await asyncio.sleep(0.05)
        begin = time.perf_counter()
        await publish(facts, film.uploaded())
        message = await subscription.next_msg(timeout=10)
        waits.append(time.perf_counter() - begin)
        assert film.video_id in message.data.decode()
        heard[message.data.decode()] = waits[-1]
    ordered = [round(wait * 1000, 1) for wait in sorted(waits)]
    print(f"\nAssetUploaded to PackageRequested in ms: median {ordered[10]}, all {ordered}")
    assert len(heard) == 20


async def test_second_video_with_a_finished_package_is_ready_at_once(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    first = Film(await shared_catalog.draft())
    await walk(shared_catalog, facts, first)
    second = Film(
        await shared_catalog.draft(), asset_id=first.asset_id, package_id=first.package_id
    )
    assert second.video_id
    await publish(facts, second.uploaded())
    await shared_catalog.until(second.video_id, state="uploading")
    await publish(facts, second.planned())
    await shared_catalog.until(second.video_id, state="ready", warnings=["short"])
    states = [e.state for e in await announced(facts, VideoUpdated, second.video_id)]
    assert states == ["uploading", "ready"]
    assert len(await announced(facts, VideoPublished, second.video_id)) == 1


async def test_withdrawn_upload_leaves_a_draft(shared_catalog: Catalog, facts: Messaging) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    await publish(facts, film.started())
    await shared_catalog.until(film.video_id, state="uploading")
    withdrawn = AssetUploadTerminated(upload_id=film.upload_id, video_id=film.video)
    await publish(facts, withdrawn)
    await shared_catalog.until(film.video_id, state="draft")
    again = Film(film.video_id)
    await publish(facts, again.started())
    await shared_catalog.until(film.video_id, state="uploading")


async def test_refused_file_fails_its_video_until_another_comes(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft())
    reason = "This is a text file, not a video."
    assert film.video_id
    await publish(facts, film.started())
    await publish(
        facts,
        AssetUploadTerminated(upload_id=film.upload_id, video_id=film.video, reason=reason),
    )
    await shared_catalog.until(film.video_id, state="failed", reason=reason, playback=None)
    again = Film(film.video_id)
    await publish(facts, again.started())
    await shared_catalog.until(film.video_id, state="uploading", reason=None)
    await publish(facts, again.uploaded())
    await publish(facts, again.planned())
    await shared_catalog.until(film.video_id, state="planned", reason=None)


async def test_unplannable_asset_fails_its_video_with_a_reason(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    await publish(facts, film.uploaded())
    await publish(
        facts,
        TranscodeFailed(asset_id=film.asset_id, reason="This is no video.", video_id=film.video),
    )
    video = await shared_catalog.until(film.video_id, state="failed")
    assert (video["reason"], video["playback"]) == ("This is no video.", None)


async def test_new_plan_after_a_failure_revives_the_video(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    failed = TranscodeFailed(
        asset_id=film.asset_id, reason="No encoder worked.", package_id=film.package_id
    )
    began = datetime.now(UTC)
    await publish(facts, film.uploaded(), began)
    await publish(facts, film.planned(), began + timedelta(seconds=1))
    await publish(facts, failed, began + timedelta(seconds=2))
    await shared_catalog.until(film.video_id, state="failed", reason="No encoder worked.")
    await publish(facts, film.planned(), began + timedelta(seconds=3))
    await shared_catalog.until(film.video_id, state="planned", reason=None)
    await publish(facts, failed, began + timedelta(seconds=2))
    await publish(facts, film.stored(2))
    await shared_catalog.until(film.video_id, state="playable", reason=None)


@pytest.mark.parametrize("seed", range(4))
async def test_repeated_and_shuffled_facts_end_the_same(
    shared_catalog: Catalog, facts: Messaging, seed: int
) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    began = datetime.now(UTC)
    told: list[Event] = [film.started(), film.uploaded(), film.planned(), film.stored(2)]
    told += [film.stored(4), film.completed()]
    timed = [(event, began + timedelta(seconds=n)) for n, event in enumerate(told)] * 3
    random.Random(seed).shuffle(timed)
    for event, at in timed:
        await publish(facts, event, at)
    video = await shared_catalog.until(
        film.video_id, state="ready", progress=1.0, renditions=film.all_stored
    )
    await asyncio.sleep(0.3)
    assert await shared_catalog.get(film.video_id) == video
    assert len(await announced(facts, PackageRequested, film.video_id)) == 1
    assert len(await announced(facts, VideoPublished, film.video_id)) == 1


async def test_deleted_video_stays_deleted_while_facts_arrive(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    await publish(facts, film.uploaded())
    await publish(facts, film.planned())
    await shared_catalog.until(film.video_id, state="planned")
    async with shared_catalog.client(shared_catalog.admin) as client:
        assert (await client.delete(f"/videos/{film.video_id}")).status_code == 204
        for event in (film.started(), film.planned(), film.stored(3), film.completed()):
            await publish(facts, event)
        other = Film(
            await shared_catalog.draft(), asset_id=film.asset_id, package_id=film.package_id
        )
        assert other.video_id
        await publish(facts, other.uploaded())
        await publish(facts, other.planned())
        await shared_catalog.until(other.video_id, state="ready")
        assert (await client.get(f"/videos/{film.video_id}")).status_code == 404
        assert (await client.delete(f"/videos/{film.video_id}")).status_code == 404
    deleted = await announced(facts, VideoDeleted, film.video_id)
    assert [(event.asset_id, event.package_id) for event in deleted] == [
        (film.asset_id, film.package_id)
    ]
    assert await announced(facts, VideoPublished, film.video_id) == []


async def test_uploads_that_are_not_ours_are_passed_over(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    for video_id in (None, str(uuid4())):
        stranger = Film(video_id)
        await publish(facts, stranger.started())
        await publish(facts, stranger.uploaded())
    film = Film(str(UUID(int=7)))
    await publish(facts, film.planned())
    await publish(facts, TranscodeFailed(asset_id="a", reason="No.", video_id=film.video))
    known = Film(await shared_catalog.draft())
    await walk(shared_catalog, facts, known)
    letters = await facts.jetstream.stream_info("DEADLETTERS")
    assert letters.state.messages == 0
