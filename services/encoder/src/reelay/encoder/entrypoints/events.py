"""What the encoder listens to and says: chunks, segments, and that it is alive."""

import asyncio
import os
import socket
from collections.abc import Sequence
from functools import partial
from uuid import uuid4

import nats.errors
import structlog

from reelay.common.commands import EncodeChunk, EncoderAlive, Lane
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.storage.port import ObjectStore
from reelay.common.streams import work_consumer
from reelay.encoder.domain.precedence import Rank, rank_of
from reelay.encoder.fitness import Fitness
from reelay.encoder.handlers import Transcoder, encode_chunk, give_up_chunk

SERVICE = "encoder"
ALIVE_INTERVAL_S = 1.0

log = structlog.get_logger()


def listen(
    messaging: Messaging, fitness: Fitness, transcoder: Transcoder, store: ObjectStore
) -> None:
    """Take one chunk at a time from each lane of each provider, and openings before what waits.

    What a provider that can no longer work fails at goes to other encoders.
    """

    async def announce(event: SegmentReady | SegmentFailed, message_id: str) -> None:
        await messaging.publish(event, message_id=message_id)

    async def encode(task: EncodeChunk) -> None:
        log.info("chunk begins", task_id=str(task.task_id), lane=task.lane, attempt=task.attempt)
        check = partial(fitness.check, task.provider)
        await encode_chunk(task, transcoder, store, announce, check)
        log.info("chunk done", task_id=str(task.task_id))

    async def give_up(body: bytes, error: Exception) -> None:
        try:
            task = EncodeChunk.model_validate_json(body)
        except ValueError:
            return  # nobody's task; the dead letter keeps it
        await give_up_chunk(task, error, announce)

    for provider in fitness.providers:
        check = partial(fitness.check, provider)
        for lane in Lane:
            messaging.on(
                work_consumer(provider, lane),
                encode,
                give_up=give_up,
                can_wait=runs_ahead if lane is Lane.OPENING else None,
                check=check,
            )


def runs_ahead(body: bytes) -> bool:
    """Tell whether a message of the opening lane only runs ahead of a viewer.

    An opening is taken beside it, and goes first (docs/decisions/0005).
    """
    try:
        return rank_of(EncodeChunk.model_validate_json(body)) is Rank.AHEAD
    except ValueError:
        return False


async def announce_life(messaging: Messaging, fitness: Fitness, version: str) -> None:
    """Say every second, for ever, that this encoder is here and what it can do.

    One that can do nothing says nothing: it counts for nothing when work is given out.
    """
    # Machines may share a name, and containers process ids.
    encoder_id = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    while True:
        try:
            if fitness.providers:
                await messaging.tell(_alive(encoder_id, fitness.providers, version))
        except (nats.errors.Error, OSError) as error:  # it is told again in a second
            log.debug("nobody heard that this encoder is alive", error=repr(error))
        await asyncio.sleep(ALIVE_INTERVAL_S)


def _alive(encoder_id: str, providers: Sequence[str], version: str) -> EncoderAlive:
    return EncoderAlive(encoder_id=encoder_id, providers=list(providers), encoder_version=version)
