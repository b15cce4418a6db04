"""What the encoder listens to and says: chunks, segments, and that it is alive."""

import asyncio
import os
import socket
from collections.abc import Sequence

import nats.errors
import structlog

from reelay.common.commands import EncodeChunk, EncoderAlive, Lane
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.storage.port import ObjectStore
from reelay.common.streams import work_consumer
from reelay.encoder.domain.precedence import Rank, rank_of
from reelay.encoder.handlers import Transcoder, encode_chunk, give_up_chunk

SERVICE = "encoder"
ALIVE_INTERVAL_S = 1.0

log = structlog.get_logger()


def listen(
    messaging: Messaging, providers: Sequence[str], transcoder: Transcoder, store: ObjectStore
) -> None:
    """Take one chunk at a time from each lane of each provider, and openings before what waits."""

    async def announce(event: SegmentReady | SegmentFailed, message_id: str) -> None:
        await messaging.publish(event, message_id=message_id)

    async def encode(task: EncodeChunk) -> None:
        log.info("chunk begins", task_id=str(task.task_id), lane=task.lane, attempt=task.attempt)
        await encode_chunk(task, transcoder, store, announce)
        log.info("chunk done", task_id=str(task.task_id))

    async def give_up(body: bytes, error: Exception) -> None:
        try:
            task = EncodeChunk.model_validate_json(body)
        except ValueError:
            return  # nobody's task; the dead letter keeps it
        await give_up_chunk(task, error, announce)

    for provider in providers:
        for lane in Lane:
            can_wait = runs_ahead if lane is Lane.OPENING else None
            messaging.on(work_consumer(provider, lane), encode, give_up=give_up, can_wait=can_wait)


def runs_ahead(body: bytes) -> bool:
    """Tell whether a message of the opening lane only runs ahead of a viewer.

    An opening is taken beside it, and goes first (docs/decisions/0005).
    """
    try:
        return rank_of(EncodeChunk.model_validate_json(body)) is Rank.AHEAD
    except ValueError:
        return False


async def announce_life(messaging: Messaging, providers: Sequence[str], version: str) -> None:
    """Say every second, for ever, that this encoder is here and what it can do."""
    alive = EncoderAlive(
        encoder_id=f"{socket.gethostname()}-{os.getpid()}",
        providers=list(providers),
        encoder_version=version,
    )
    while True:
        try:
            await messaging.tell(alive)
        except (nats.errors.Error, OSError) as error:  # it is told again in a second
            log.debug("nobody heard that this encoder is alive", error=repr(error))
        await asyncio.sleep(ALIVE_INTERVAL_S)
