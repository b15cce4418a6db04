"""What those who serve content are told of many packages while the broker or the store is away."""

import asyncio
from contextlib import suppress
from datetime import datetime
from shutil import copytree, rmtree

import pytest
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from reelay.common.content_access import AllAccessTold, subject_of
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from .system import Catalog, Film
from .test_restrictions import STREAM, ids, planned, until_marked, until_told

pytestmark = pytest.mark.integration

PROMPTLY_S = 5.0
"""What must not wait for what is away may take, on a busy machine."""


async def films_of(catalog: Catalog, facts: Messaging, visibility: str) -> list[Film]:
    return [await planned(catalog, facts, visibility) for _ in range(3)]


async def all_told_to(messaging: Messaging) -> tuple[datetime, int] | None:
    """Return for which stream the catalog said that all was told, and at which place in it."""
    try:
        message = await messaging.jetstream.get_last_msg(STREAM, AllAccessTold.subject)
    except NotFoundError:
        return None
    told = AllAccessTold.model_validate_json(message.data or b"")
    return told.stream_made_at, message.seq or 0


async def until_complete(messaging: Messaging, within_s: float = PROMPTLY_S) -> int:
    """Return the place of the word that all was told, when it is of the present stream."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                made = (await messaging.jetstream.stream_info(STREAM)).created
                said = await all_told_to(messaging)
            except NotFoundError:
                said = None
            if said is not None and said[0] == made:
                return said[1]
            await asyncio.sleep(0.02)


async def test_without_the_broker_every_package_is_marked(
    lonely: Catalog, nats: Program, messaging: Messaging
) -> None:
    lonely.start()
    await messaging.start()
    films = await films_of(lonely, messaging, "public")
    nats.kill()
    for film in films:
        assert film.video_id
        await lonely.show_to(film.video_id, "private")
    async with asyncio.timeout(PROMPTLY_S):
        for film in films:
            await until_marked(lonely, film.package_id, "token")
    nats.start()
    for film in films:
        await until_told(messaging, film.package_id, "token", ids(film))


async def test_without_the_store_every_package_is_told(
    lonely: Catalog, messaging: Messaging
) -> None:
    lonely.start()
    await messaging.start()
    films = await films_of(lonely, messaging, "public")
    in_the_way = lonely.directory / "store" / "access"
    in_the_way.write_bytes(b"")
    for film in films:
        assert film.video_id
        await lonely.show_to(film.video_id, "private")
    async with asyncio.timeout(PROMPTLY_S):
        for film in films:
            await until_told(messaging, film.package_id, "token", ids(film))
    for film in films:
        assert film.video_id
        await lonely.delete(film.video_id)
    async with asyncio.timeout(PROMPTLY_S):
        for film in films:
            await until_told(messaging, film.package_id, "closed")
    in_the_way.unlink()
    for film in films:
        await until_marked(lonely, film.package_id, "closed", "token")


async def test_first_start_says_at_once_that_all_was_told(
    lonely: Catalog, messaging: Messaging
) -> None:
    lonely.start()
    await messaging.start()
    await until_complete(messaging)


async def test_lost_stream_is_told_all_promptly_before_it_is_called_complete(
    lonely: Catalog, messaging: Messaging
) -> None:
    lonely.start()
    await messaging.start()
    films = await films_of(lonely, messaging, "private")
    for film in films:
        await until_told(messaging, film.package_id, "token", ids(film))
    await messaging.jetstream.delete_stream(STREAM)
    complete = await until_complete(messaging)
    for film in films:
        state = await messaging.jetstream.get_last_msg(STREAM, subject_of(film.package_id))
        assert state.seq
        assert state.seq < complete


async def test_stream_that_the_broker_set_back_is_told_all_again(
    lonely: Catalog, messaging: Messaging, nats: Program
) -> None:
    lonely.start()
    await messaging.start()
    kept, earlier = lonely.directory / "nats", lonely.directory / "kept"
    first = await planned(lonely, messaging, "private")
    await until_told(messaging, first.package_id, "token", ids(first))
    before = await until_complete(messaging)
    nats.kill()
    copytree(kept, earlier)
    nats.start()
    assert await until_said_again(messaging, before) > before
    second = await planned(lonely, messaging, "private")
    await until_told(messaging, second.package_id, "token", ids(second))
    nats.kill()
    rmtree(kept)
    earlier.rename(kept)
    nats.start()
    await until_said_again(messaging, before)
    await until_told(messaging, second.package_id, "token", ids(second))


async def until_said_again(messaging: Messaging, before: int) -> int:
    """Return the place of a later word that all was told, by a broker that was away."""
    async with asyncio.timeout(30):
        while True:
            with suppress(NatsError, OSError, TimeoutError):
                if (place := await until_complete(messaging)) > before:
                    return place
            await asyncio.sleep(0.1)


async def test_emptied_stream_and_one_of_an_older_version_are_told_all(
    lonely: Catalog, messaging: Messaging
) -> None:
    lonely.start()
    await messaging.start()
    film = await planned(lonely, messaging, "private")
    await until_told(messaging, film.package_id, "token", ids(film))
    for subject in (AllAccessTold.subject, "access.>"):
        await until_complete(messaging)
        await messaging.jetstream.purge_stream(STREAM, subject=subject)
    await until_complete(messaging)
    await until_told(messaging, film.package_id, "token", ids(film))
