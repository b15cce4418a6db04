"""The outbox over real servers: what is committed is told, in order, whatever dies."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from nats.js.api import ConsumerConfig, DeliverPolicy

from reelay.common import relay
from reelay.common.database import Database, DatabaseUnavailableError
from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging
from reelay.common.outbox import OUTBOX, Outbox
from reelay.common.testing.servers import Program, fresh_database, postgres_server

pytestmark = pytest.mark.integration


def uploaded(number: int = 0) -> AssetUploaded:
    return AssetUploaded(
        upload_id=uuid4(), asset_id="a" * 64, source_key="sources/x", size_bytes=number
    )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(OUTBOX.metadata.create_all)
    yield database
    await database.close()


@asynccontextmanager
async def relaying(outbox: Outbox) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run())
    yield
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def announce(outbox: Outbox, *events: AssetUploaded) -> None:
    async with outbox.transaction() as transaction:
        for event in events:
            await transaction.announce(event)


async def announce_and_fail(outbox: Outbox) -> None:
    async with outbox.transaction() as transaction:
        await transaction.announce(uploaded())
        raise RuntimeError


async def told(messaging: Messaging, count: int) -> list[AssetUploaded]:
    """Return the first facts in the stream, in order; waits for them."""
    subscription = await messaging.jetstream.subscribe(
        AssetUploaded.subject,
        stream="EVENTS",
        ordered_consumer=True,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
    )
    messages = [await subscription.next_msg(timeout=20) for _ in range(count)]
    await subscription.unsubscribe()
    return [AssetUploaded.model_validate_json(message.data) for message in messages]


async def stored(messaging: Messaging) -> int:
    return (await messaging.jetstream.stream_info("EVENTS")).state.messages


async def rows(database: Database) -> int:
    async with database.autocommit() as session:
        return int(
            (await session.execute(sa.select(sa.func.count()).select_from(OUTBOX))).scalar_one()
        )


async def until_empty(database: Database) -> None:
    async with asyncio.timeout(20):
        while await rows(database):  # noqa: ASYNC110  # asks the database
            await asyncio.sleep(0.05)


async def test_announcements_are_told_in_the_order_of_commits(
    database: Database, messaging: Messaging
) -> None:
    await messaging.start()
    outbox = Outbox(database, messaging)
    events = [uploaded(number) for number in range(60)]
    async with relaying(outbox):
        for first in range(0, 60, 3):
            await announce(outbox, *events[first : first + 3])
        assert await told(messaging, 60) == events
        await until_empty(database)
    assert await stored(messaging) == 60


async def test_more_than_one_batch_of_one_transaction_keeps_its_order(
    database: Database, messaging: Messaging
) -> None:
    await messaging.start()
    outbox = Outbox(database, messaging)
    events = [uploaded(number) for number in range(2 * relay.BATCH + 1)]
    async with relaying(outbox):
        await announce(outbox, uploaded())
        await told(messaging, 1)  # from here on, from memory
        await announce(outbox, *events)
        assert (await told(messaging, 1 + len(events)))[1:] == events
        await until_empty(database)


async def test_announcement_is_told_long_before_the_table_is_looked_at(
    database: Database, messaging: Messaging
) -> None:
    await messaging.start()
    outbox = Outbox(database, messaging)
    heard = await messaging.client.subscribe(AssetUploaded.subject)
    async with relaying(outbox):
        await announce(outbox, uploaded())
        await heard.next_msg(timeout=10)
        waits: list[float] = []
        for _ in range(10):
            await asyncio.sleep(0.01)
            began = time.monotonic()
            await announce(outbox, uploaded())
            await heard.next_msg(timeout=10)
            waits.append(time.monotonic() - began)
    assert sorted(waits)[5] < relay.POLL_S / 4, waits


async def test_failed_transaction_tells_nothing(database: Database, messaging: Messaging) -> None:
    await messaging.start()
    outbox = Outbox(database, messaging)
    event = uploaded()
    async with relaying(outbox):
        with pytest.raises(RuntimeError):
            await announce_and_fail(outbox)
        await announce(outbox, event)
        assert await told(messaging, 1) == [event]
        await until_empty(database)
    assert await stored(messaging) == 1


@pytest.mark.parametrize("while_running", [False, True])
async def test_what_another_process_left_is_told(
    database: Database, messaging: Messaging, while_running: bool
) -> None:
    await messaging.start()
    ours, killed = Outbox(database, messaging), Outbox(database, messaging)
    events = [uploaded(number) for number in range(3)]

    async def leave() -> None:
        for event in events:
            await announce(killed, event)

    if not while_running:
        await leave()
    async with relaying(ours):
        if while_running:
            await leave()
        assert await told(messaging, 3) == events
        await until_empty(database)
    assert await stored(messaging) == 3


async def test_two_replicas_tell_everything_once(database: Database, messaging: Messaging) -> None:
    await messaging.start()
    one, other = Outbox(database, messaging), Outbox(database, messaging)
    events = [uploaded(number) for number in range(300)]
    async with relaying(one), relaying(other):
        for number, event in enumerate(events):
            await announce(one if number % 2 else other, event)
        found = await told(messaging, 300)
        await until_empty(database)
        assert {event.upload_id for event in found} == {event.upload_id for event in events}
        assert await stored(messaging) == 300


async def test_broker_away_delays_and_loses_nothing(
    database: Database, messaging: Messaging, nats: Program
) -> None:
    await messaging.start()
    outbox = Outbox(database, messaging)
    events = [uploaded(number) for number in range(30)]
    async with relaying(outbox):
        await announce(outbox, events[0])
        await told(messaging, 1)
        nats.kill()
        for event in events[1:]:
            await announce(outbox, event)
        nats.start()
        found = await told(messaging, 30)
        await until_empty(database)
    assert unique(found) == {event.upload_id for event in events}
    assert await stored(messaging) == 30


async def test_database_away_delays_and_loses_nothing(tmp_path: Path, messaging: Messaging) -> None:
    await messaging.start()
    with postgres_server(tmp_path) as server:
        async with opened(fresh_database(server)) as database:
            outbox = Outbox(database, messaging)
            events = [uploaded(number) for number in range(6)]
            async with relaying(outbox):
                await announce(outbox, *events[:3])
                await told(messaging, 3)
                server.kill()  # while the published rows are still to be removed
                await asyncio.sleep(1)
                server.start()
                await announce_at_last(outbox, *events[3:])
                assert await told(messaging, 6) == events
                await until_empty(database)
    assert await stored(messaging) == 6


async def announce_at_last(outbox: Outbox, *events: AssetUploaded) -> None:
    """Announce as soon as the database takes it."""
    async with asyncio.timeout(30):
        while True:
            with suppress(DatabaseUnavailableError):
                return await announce(outbox, *events)
            await asyncio.sleep(0.1)


async def test_connections_that_the_server_closed_are_replaced_unnoticed(
    database: Database,
) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    others += " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    async with database.transaction() as one, database.transaction() as other:
        for session in (one, other):
            await session.execute(sa.text("SELECT 1"))
    async with database.transaction() as session:
        await session.execute(sa.text(others))
    await asyncio.sleep(0.1)
    async with database.transaction() as one, database.transaction() as other:
        for session in (one, other):
            assert (await session.execute(sa.text("SELECT 1"))).scalar_one() == 1


def unique(events: list[AssetUploaded]) -> set[UUID]:
    return {event.upload_id for event in events}
