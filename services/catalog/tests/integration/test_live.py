"""Server-sent events, of one replica and of two."""

import asyncio
import socket
import time
from uuid import uuid4

import pytest

from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from .system import Catalog, Film, publish

pytestmark = pytest.mark.integration


async def test_listener_sees_the_present_state_and_then_every_change_in_order(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    await shared_catalog.draft("another, not to be heard of")
    async with shared_catalog.listen(film.video_id) as listener:
        first = await listener.next()
        assert first is not None
        assert (first.event, first.data) == ("video", await shared_catalog.get(film.video_id))
        await publish(facts, film.started())
        seen = [first, *await listener.until(state="uploading")]
        await publish(facts, film.uploaded())
        await publish(facts, film.planned())
        seen += await listener.until(state="planned")
        for count in range(1, film.total + 1):
            await publish(facts, film.stored(count))
        seen += await listener.until(progress=1.0)
        await publish(facts, film.completed())
        seen += await listener.until(state="ready")
    assert {event.data["id"] for event in seen} == {film.video_id}
    states = list(dict.fromkeys(event.data["state"] for event in seen))
    assert states == ["draft", "uploading", "planned", "playable", "ready"]
    progress = [event.data["progress"] for event in seen]
    assert progress == sorted(progress)
    assert [n / film.total for n in range(film.total + 1)] == sorted(set(progress))
    ids = [int(event.id) for event in seen]
    assert ids == sorted(set(ids))
    assert seen[-1].data == await shared_catalog.get(film.video_id)


async def test_every_replica_tells_what_another_one_did(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    other = Catalog(shared_catalog.directory, shared_catalog.nats_url, shared_catalog.database_url)
    other.start()
    try:
        film = Film(await other.draft())
        assert film.video_id
        async with (
            shared_catalog.listen(film.video_id) as here,
            other.listen(film.video_id) as there,
            other.listen() as everywhere,
        ):
            began = time.monotonic()
            async with other.client(other.admin) as client:
                await client.patch(f"/videos/{film.video_id}", json={"title": "New"})
            await asyncio.gather(here.until(title="New"), there.until(title="New"))
            print(f"\nboth replicas told it after {time.monotonic() - began:.3f} s")
            for event in (film.started(), film.uploaded(), film.planned(), film.stored(2)):
                await publish(facts, event)
            await publish(facts, film.completed())
            done = {"id": film.video_id, "state": "ready", "renditions": film.all_stored}
            seen = await asyncio.gather(*(each.until(**done) for each in (here, there, everywhere)))
            for events in seen:  # whose replica is behind is told less often, never otherwise
                ids = [int(event.id) for event in events]
                assert ids == sorted(set(ids))
            assert len({events[-1].id for events in seen}) == 1
    finally:
        assert other.stop() == 0


async def test_reconnected_listener_gets_what_it_missed(shared_catalog: Catalog) -> None:
    first = await shared_catalog.draft("first")
    async with shared_catalog.listen() as listener:
        second = await shared_catalog.draft("second")
        last = (await listener.until(id=second))[-1].id
    async with shared_catalog.client(shared_catalog.admin) as client:
        await client.patch(f"/videos/{first}", json={"title": "new"})
        await client.patch(f"/videos/{first}", json={"title": "newest"})
        await client.delete(f"/videos/{second}")
    async with shared_catalog.listen(last_event_id=last) as listener:
        missed = [await listener.next(), await listener.next()]
        third = await shared_catalog.draft("third")
        missed += await listener.until(id=third)
    kinds = [(event.event, event.data["id"]) for event in missed if event]
    assert kinds == [("video", first), ("deleted", second), ("video", third)]
    assert missed[0] is not None
    assert missed[0].data["title"] == "newest"


@pytest.mark.parametrize("last_event_id", ["x", "-1", "9" * 30, "99999999999999999", "1.5"])
async def test_strange_last_event_id_loses_nothing_new(
    shared_catalog: Catalog, last_event_id: str
) -> None:
    async with shared_catalog.listen(last_event_id=last_event_id) as listener:
        video_id = await shared_catalog.draft()
        await listener.until(id=video_id)


async def test_deletion_ends_the_stream_of_the_video(shared_catalog: Catalog) -> None:
    video_id = await shared_catalog.draft()
    async with shared_catalog.listen(video_id) as listener:
        assert await listener.next() is not None
        async with shared_catalog.client(shared_catalog.admin) as client:
            await client.delete(f"/videos/{video_id}")
        event = await listener.next()
        assert event is not None
        assert (event.event, event.data) == ("deleted", {"id": video_id})
        assert await listener.next() is None


async def test_malformed_filter_is_unprocessable_and_unknown_video_not_found(
    shared_catalog: Catalog,
) -> None:
    async with shared_catalog.client() as client:
        for value, status in (("x", 422), ("", 422), (str(uuid4()), 404)):
            answer = await client.get("/events", params={"video_id": value})
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"


async def test_quiet_stream_has_a_heartbeat(shared_catalog: Catalog) -> None:
    video_id = await shared_catalog.draft()
    async with shared_catalog.listen(video_id) as listener:
        assert await listener.next() is not None
        began = time.monotonic()
        assert await listener.block() == [": heartbeat"]
        assert time.monotonic() - began > 8


async def test_stream_ends_when_the_catalog_stops(lonely: Catalog) -> None:
    lonely.start()
    async with lonely.listen() as listener:
        began = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(lonely.stop))
        assert await listener.next() is None
        assert await stopping == 0
        assert time.monotonic() - began < 30  # a pod's usual grace


async def test_clients_that_left_are_forgotten(lonely: Catalog) -> None:
    lonely.start()
    for _ in range(3):
        async with lonely.listen():
            pass
    async with asyncio.timeout(20), lonely.client() as client:
        while True:
            metrics = (await client.get(f"{lonely.url}/metrics")).text
            if "reelay_catalog_live_clients 0.0" in metrics:
                return
            await asyncio.sleep(0.2)


async def test_slow_client_costs_no_memory_and_disturbs_nobody(
    lonely: Catalog, nats: Program
) -> None:
    lonely.start()
    videos = [await lonely.draft(f"Film {n}", description="\U0001f3ac" * 9000) for n in range(10)]
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", lonely.port))
        slow.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n\r\n")
        async with lonely.listen() as listener, lonely.client(lonely.admin) as client:
            memory: list[int] = []
            for turn in range(40):
                edits = [
                    client.patch(f"/videos/{video_id}", json={"title": f"turn {turn}"})
                    for video_id in videos
                ]
                await asyncio.gather(*edits)
                await listener.until(id=videos[0], title=f"turn {turn}")
                memory.append(lonely.memory_bytes())
            told = 20 * 10 * 36_000
            grown = memory[-1] - memory[19]
            print(f"\nin the second half {told} bytes were told, memory grew by {grown} bytes")
            assert grown < told / 4
