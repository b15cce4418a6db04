"""The catalog's part in the stream of restrictions that is not about one package."""

from datetime import datetime

from reelay.common.content_access import AllAccessTold
from reelay.common.messaging import Messaging


async def say_all_told(messaging: Messaging, made_at: datetime | None = None) -> None:
    """Say that a stream has all restrictions: the present one, or another made at that time."""
    made_at = made_at or (await messaging.jetstream.stream_info("ACCESS")).created
    assert made_at is not None
    body = AllAccessTold(stream_made_at=made_at).model_dump_json().encode()
    await messaging.jetstream.publish(AllAccessTold.subject, body)
