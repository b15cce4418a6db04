"""What happens to a package that is watched, as NATS tells it: the past first, then what comes."""

import asyncio
import contextlib
import time

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import Error as JetStreamError

from reelay.cli.errors import CommandError
from reelay.cli.watch_ears import WORK_SUBJECTS, Ears, pass_on
from reelay.cli.watch_past import FACTS, TIMEOUT_S, find_beginning
from reelay.cli.watch_queue import keep_looking, look_at_work
from reelay.cli.watch_seen import keep_asking
from reelay.common.commands import DemandWithdrawn, EncoderAlive, SegmentDemanded, ViewersSeen
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.streams import EVENTS
from reelay.common.tasks import end

LOOK_AT_WORK_EVERY_S = 30.0
PLAIN = (WORK_SUBJECTS, SegmentDemanded.subject, DemandWithdrawn.subject, ViewersSeen.subject,
         EncoderAlive.subject, SegmentReady.subject, SegmentFailed.subject)  # fmt: skip
"""Heard as they pass: work is never taken from its stream, and nothing is answered."""


async def listen(
    url: str, package_id: str, ears: Ears, look_every_s: float = LOOK_AT_WORK_EVERY_S
) -> None:
    """Pass on all messages about a package: first the facts of the past, then what comes.

    Signs of life of encoders are passed on too, and again and again what lies in the queue and
    where viewers are.
    Returns when the connection is lost; raises CommandError when there is none.
    """
    lost = asyncio.Event()
    client = await _connect(url, lost)
    jetstream, about = client.jetstream(timeout=TIMEOUT_S), package_id.encode()
    facts = None
    asking: list[asyncio.Task[None]] = []
    try:
        # Plain messages first, so that no work is asked for between the past and the present.
        await _hear_plain(client, about, ears)
        await look_at_work(jetstream, about, ears)
        facts = await _hear_facts(jetstream, about, ears)
        asking = [
            asyncio.create_task(keep_looking(jetstream, about, ears, look_every_s)),
            asyncio.create_task(keep_asking(client, package_id)),
        ]
        await lost.wait()
    except (nats.errors.Error, JetStreamError) as error:
        if not lost.is_set():
            raise CommandError(f"NATS refused: {error}") from error
    finally:
        await end(*asking)
        with contextlib.suppress(nats.errors.Error):
            if facts is not None:
                await facts.unsubscribe()
        await client.close()


async def _connect(url: str, lost: asyncio.Event) -> Client:
    """Return a connection that sets `lost` when it ends."""

    async def note_loss() -> None:
        lost.set()

    try:
        return await nats.connect(
            url, allow_reconnect=False, connect_timeout=TIMEOUT_S, error_cb=_ignore,
            closed_cb=note_loss,
        )  # fmt: skip
    except (OSError, nats.errors.Error) as error:
        raise CommandError(f"NATS does not answer ({error}); see `reelay status`.") from error


async def _hear_plain(client: Client, package_id: bytes, ears: Ears) -> None:
    async def on_plain(msg: Msg) -> None:
        if package_id in msg.data or msg.subject == EncoderAlive.subject:
            pass_on(msg.subject, msg.data, ears, time.time())

    for subject in PLAIN:
        await client.subscribe(subject, cb=on_plain)


async def _hear_facts(
    jetstream: JetStreamContext, package_id: bytes, ears: Ears
) -> JetStreamContext.PushSubscription:
    """Read facts first to last, by one consumer: their order is that of the packager."""

    async def on_fact(msg: Msg) -> None:
        if package_id in msg.data:
            pass_on(msg.subject, msg.data, ears, msg.metadata.timestamp.timestamp())
        if msg.metadata.num_pending == 0:
            ears.catch_up()

    beginning = await find_beginning(jetstream, package_id)
    if beginning.removed_at is not None:
        ears.forget_until(beginning.removed_at)
    config = beginning.config
    facts = await jetstream.subscribe(
        FACTS, stream=EVENTS.name, cb=on_fact, ordered_consumer=True, config=config
    )
    config.opt_start_time = None  # or it is refused when the client makes it anew, by number
    consumer = await facts.consumer_info()
    if not consumer.num_pending and not (consumer.delivered and consumer.delivered.consumer_seq):
        ears.catch_up()
    return facts


async def _ignore(_: Exception) -> None:
    """Errors reach us where we wait for an answer; nats-py would also log them."""
