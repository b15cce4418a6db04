"""The stream that keeps the last state of each package."""

from datetime import datetime

from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError
from pydantic import ValidationError

from reelay.common.cloudevents import wrap
from reelay.common.content_access import Access, ContentAccessChanged
from reelay.common.messaging import Messaging
from reelay.common.streams import ACCESS, declare_streams

STREAM = str(ACCESS.name)
OPEN_KEPT_S = 3600.0
"""A package that is open again needs no entry; those who follow the stream hear of it in time."""
WRONG_LAST_SEQUENCE = 10071
EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"


async def tell(messaging: Messaging, state: ContentAccessChanged) -> None:
    """Make `state` the last one of its package, unless a newer one is there.

    Compares and sets: whoever is late, in whatever way, overwrites nothing.
    Raises nats.errors.Error and OSError.
    """
    envelope = wrap(state, source=messaging.service)
    headers = {k: v for k, v in envelope.headers.items() if k != "Nats-Msg-Id"}
    lifetime_s = OPEN_KEPT_S if state.access is Access.OPEN else None
    while True:
        sequence, revision = await _last(messaging.jetstream, envelope.subject)
        if revision >= state.revision:
            return
        expected = {EXPECTED_SEQUENCE: str(sequence)}
        try:
            await messaging.jetstream.publish(
                envelope.subject, envelope.body, headers=headers | expected, msg_ttl=lifetime_s
            )
        except APIError as error:
            if error.err_code != WRONG_LAST_SEQUENCE:
                raise
        else:
            return


async def _last(jetstream: JetStreamContext, subject: str) -> tuple[int, int]:
    """Return sequence number and revision of the last state on a subject; zeros for none."""
    try:
        message = await jetstream.get_last_msg(STREAM, subject)
    except NotFoundError:
        return 0, 0
    try:
        revision = ContentAccessChanged.model_validate_json(message.data or b"").revision
    except ValidationError:
        revision = 0  # not ours: overwritten
    return message.seq or 0, revision


async def made_at(messaging: Messaging) -> datetime | None:
    """Return when the stream was made; it is made anew when it was lost."""
    try:
        return (await messaging.jetstream.stream_info(STREAM)).created
    except NotFoundError:
        await declare_streams(messaging.jetstream)
        return (await messaging.jetstream.stream_info(STREAM)).created
