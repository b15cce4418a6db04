"""The catalog's part in the stream of restrictions that is not about one package."""

import asyncio
from datetime import datetime

import nats.errors

from reelay.common.content_access import Access, AllAccessTold
from reelay.common.messaging import Messaging

from .films import Film


async def say_all_told(messaging: Messaging, made_at: datetime | None = None) -> None:
    """Say that a stream has all restrictions: the present one, or another made at that time."""
    made_at = made_at or (await messaging.jetstream.stream_info("ACCESS")).created
    assert made_at is not None
    body = AllAccessTold(stream_made_at=made_at).model_dump_json().encode()
    await messaging.jetstream.publish(AllAccessTold.subject, body)


async def tell_surely(film: Film, access: Access) -> None:
    """Tell it to a broker that has just come back, as the catalog does: until it listens."""
    async with asyncio.timeout(60):
        while True:
            try:
                await film.tell(access, *([film.id] if access is Access.TOKEN else []))
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(0.2)
            else:
                return
