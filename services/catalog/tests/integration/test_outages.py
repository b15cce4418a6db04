"""Servers that die in the middle of facts: nothing is lost."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelay.common.errors import TransientError
from reelay.common.events import Event
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program, fresh_database, postgres_server, wait_until

from .system import Catalog, Film, publish

pytestmark = pytest.mark.integration

FILMS = 6


@pytest.fixture
def fragile_postgres(tmp_path: Path) -> Iterator[Program]:
    with postgres_server(tmp_path) as program:
        yield program


async def publish_surely(messaging: Messaging, event: Event) -> None:
    """Publish, over and over, as a producer's outbox does."""
    while True:
        try:
            await publish(messaging, event)
        except TransientError:
            await asyncio.sleep(0.1)
        else:
            return


def all_facts(films: list[Film]) -> list[Event]:
    steps: list[Event] = []
    for film in films:
        steps += [film.started(), film.uploaded(), film.planned()]
        steps += [film.stored(count) for count in range(1, film.total + 1)]
        steps += [film.completed()]
    return steps


async def drafted(catalog: Catalog, messaging: Messaging) -> list[Film]:
    """Start a catalog and draft films in it."""
    catalog.start()
    await messaging.start()
    return [Film(await catalog.draft()) for _ in range(FILMS)]


async def all_are_ready(catalog: Catalog, films: list[Film]) -> None:
    """Wait until the catalog knows all that was told of the films."""
    for film in films:
        assert film.video_id
        await catalog.until(film.video_id, state="ready", progress=1.0)


async def test_nats_restart_in_the_middle_loses_no_fact(
    lonely: Catalog, nats: Program, messaging: Messaging
) -> None:
    films = await drafted(lonely, messaging)
    steps = all_facts(films)
    for number, event in enumerate(steps):
        if number == len(steps) // 2:
            nats.kill()
            nats.start()
        await publish_surely(messaging, event)
    await all_are_ready(lonely, films)


async def test_drafts_are_taken_while_nats_is_away(lonely: Catalog, nats: Program) -> None:
    lonely.start()
    nats.kill()
    video_id = await lonely.draft("patience")
    async with lonely.listen(video_id) as listener:
        assert await listener.next() is not None
        async with lonely.client(lonely.admin) as client:
            await client.patch(f"/videos/{video_id}", json={"title": "still here"})
        await listener.until(title="still here")
    nats.start()


async def test_killed_postgres_in_the_middle_loses_no_fact(
    fragile_postgres: Program, lonely: Catalog, messaging: Messaging
) -> None:
    lonely.database_url = fresh_database(fragile_postgres)
    films = await drafted(lonely, messaging)
    assert films[0].video_id
    async with lonely.listen(films[0].video_id) as listener:
        steps = all_facts(films)
        for number, event in enumerate(steps):
            if number == len(steps) // 3:
                fragile_postgres.kill()
            await publish(messaging, event)
        async with lonely.client(lonely.admin) as client:
            answer = await client.get("/videos")
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
        await asyncio.sleep(1)
        fragile_postgres.start()
        wait_until(lonely.is_ready, "the catalog is ready again")
        await all_are_ready(lonely, films)
        assert (await listener.until(state="ready"))[-1].data["progress"] == 1.0
    letters = await messaging.jetstream.stream_info("DEADLETTERS")
    assert letters.state.messages == 0


async def test_killed_catalog_goes_on_where_it_was(
    lonely: Catalog, nats: Program, messaging: Messaging
) -> None:
    films = await drafted(lonely, messaging)
    steps = all_facts(films)
    for number, event in enumerate(steps):
        if number == len(steps) // 2:
            lonely.stop(signal.SIGKILL)
        await publish(messaging, event)
    lonely.start()
    await all_are_ready(lonely, films)


async def test_catalog_stops_while_its_servers_are_away(
    lonely: Catalog, nats: Program, fragile_postgres: Program, messaging: Messaging
) -> None:
    lonely.database_url = fresh_database(fragile_postgres)
    lonely.start()
    await messaging.start()
    film = Film(await lonely.draft())
    fragile_postgres.kill()
    await publish(messaging, film.started())
    await asyncio.sleep(1)
    nats.kill()
    began = time.monotonic()
    assert await asyncio.to_thread(lonely.stop) == 0
    assert time.monotonic() - began < 30  # a pod's usual grace
