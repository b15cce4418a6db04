"""The stream that keeps the last state of each package, and says whether it has all of them."""

from dataclasses import dataclass
from datetime import datetime

from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError
from pydantic import ValidationError

from reelay.common.cloudevents import wrap
from reelay.common.content_access import Access, AllAccessTold, ContentAccessChanged
from reelay.common.messaging import BrokerUnavailableError, Messaging
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


@dataclass(frozen=True)
class Standing:
    """What tells whether a stream still has what it was told."""

    made_at: datetime
    last_sequence: int
    messages: int
    connections: int
    """How often the broker was found again: one that died may have forgotten what it had."""

    def continues(self, earlier: "Standing | None") -> bool:
        """Tell whether nothing that was there can have gone."""
        return (
            earlier is not None
            and (self.made_at, self.connections) == (earlier.made_at, earlier.connections)
            and self.last_sequence >= earlier.last_sequence
        )


async def standing(messaging: Messaging) -> Standing:
    """Return how the stream stands; it is made anew when it was lost.

    Raises nats.errors.Error and OSError.
    """
    connections = messaging.client.stats["reconnects"]
    try:
        info = await messaging.jetstream.stream_info(STREAM)
    except NotFoundError:
        await declare_streams(messaging.jetstream)
        info = await messaging.jetstream.stream_info(STREAM)
    if info.created is None:
        raise BrokerUnavailableError("The broker does not say when the stream was made")
    return Standing(info.created, info.state.last_seq, info.state.messages, connections)


async def is_complete(messaging: Messaging, made: datetime) -> bool:
    """Tell whether the stream says of itself that it was told all since it was made."""
    try:
        message = await messaging.jetstream.get_last_msg(STREAM, AllAccessTold.subject)
        return AllAccessTold.model_validate_json(message.data or b"").stream_made_at == made
    except (NotFoundError, ValidationError):
        return False


async def say_complete(messaging: Messaging, made: datetime) -> None:
    """Say that the stream which was made at this time was told all.

    In one that was made since, it says nothing. Raises nats.errors.Error and OSError.
    """
    envelope = wrap(AllAccessTold(stream_made_at=made), source=messaging.service)
    headers = dict(envelope.headers)
    await messaging.jetstream.publish(envelope.subject, envelope.body, headers=headers)
