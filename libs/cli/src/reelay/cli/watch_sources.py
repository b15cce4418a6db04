"""Where `reelay watch` learns of a package: promises over HTTP, what happens from NATS."""

import asyncio
import contextlib
import time
from collections.abc import Collection
from datetime import timedelta
from itertools import accumulate
from typing import Any, Protocol
from uuid import UUID

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError
from pydantic import BaseModel, ValidationError

from reelay.cli.api import Api
from reelay.cli.errors import CommandError, ServerRefusedError
from reelay.cli.tus import GONE
from reelay.cli.watch_map import Package, Rendition
from reelay.common.commands import EncodeChunk, EncoderAlive, Lane, SegmentDemanded
from reelay.common.events import (
    ManifestUpdated,
    PackagePlanned,
    SegmentFailed,
    SegmentReady,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.message import Message
from reelay.common.streams import EVENTS, WORK
from reelay.common.tasks import end

TIMEOUT_S = 5
LOOK_AT_WORK_EVERY_S = 30.0
BEFORE_ITS_PLAN = timedelta(minutes=10)
"""The first segments may be stored before the plan is announced."""
FACTS = "events.package.>"
"""Read from the stream, first to last, by one consumer: their order is that of the packager."""
PLAIN = (f"{EncodeChunk.subject}.>", SegmentDemanded.subject, EncoderAlive.subject,
         SegmentReady.subject, SegmentFailed.subject)  # fmt: skip
"""Heard as they pass: work is never taken from its stream, and nothing is answered."""
MODELS: dict[str, type[Message]] = {
    model.subject: model
    for model in (
        PackagePlanned, ManifestUpdated, TranscodeCompleted, TranscodeFailed,
        SegmentFailed, SegmentDemanded, EncoderAlive,
    )
} | {SegmentReady.subject.replace("*", lane): SegmentReady for lane in Lane}  # fmt: skip


class Ears(Protocol):
    """Who learns of a package; times are seconds since the epoch."""

    def hear(self, message: Message, at: float) -> None:
        """Hear a message that was sent or came at `at`."""
        ...

    def see_work(self, tasks: Collection[UUID], at: float) -> None:
        """See which tasks of the package lay in the queue at `at`, in an encoder's hands or not."""
        ...

    def catch_up(self) -> None:
        """Know that the past is told."""
        ...


class PlanUnreadableError(CommandError):
    """The plan of this package cannot be read."""


class _PlannedRendition(BaseModel):
    id: str
    kind: str
    path: str


class _Plan(BaseModel):
    """plan.json, as far as it matters here."""

    renditions: list[_PlannedRendition]


class _Index(BaseModel):
    """index.json, as far as it matters here."""

    root_digest: str
    objects: dict[str, dict[str, Any]]

    @property
    def size_bytes(self) -> int:
        return sum(int(entry.get("size", 0)) for entry in self.objects.values())


async def read_package(api: Api, package_id: str) -> Package:
    """Read the plan and the media playlists; raises CommandError when they cannot be had."""
    try:
        body = await api.content(package_id, "plan.json")
        plan = _Plan.model_validate_json(body)
        playlists = [await api.content(package_id, f"{r.path}/index.m3u8") for r in plan.renditions]
        return Package(
            package_id,
            tuple(
                Rendition(r.id, r.kind, r.path, segment_ends_s(playlist.decode()))
                for r, playlist in zip(plan.renditions, playlists, strict=True)
            ),
        )
    except ValueError as error:
        raise PlanUnreadableError(f"The plan of {package_id} cannot be read.") from error


async def read_completion(api: Api, package_id: str) -> TranscodeCompleted | None:
    """Return the fact that a package is complete, as its index tells; None when there is none."""
    try:
        index = _Index.model_validate_json(await api.content(package_id, "index.json"))
    except ServerRefusedError as error:
        if error.status in GONE:
            return None
        raise
    except ValidationError as error:
        raise PlanUnreadableError(f"The index of {package_id} cannot be read.") from error
    return TranscodeCompleted(
        package_id=package_id, root_digest=index.root_digest, size_bytes=index.size_bytes
    )


def segment_ends_s(playlist: str) -> tuple[float, ...]:
    """Return when each segment of a media playlist ends (RFC 8216, section 4.3.2.1: EXTINF)."""
    lengths = [
        float(line.removeprefix("#EXTINF:").partition(",")[0])
        for line in playlist.splitlines()
        if line.startswith("#EXTINF:")
    ]
    return tuple(round(end, 6) for end in accumulate(lengths))


async def listen(
    url: str, package_id: str, ears: Ears, look_every_s: float = LOOK_AT_WORK_EVERY_S
) -> None:
    """Pass on all messages about a package: first the facts of the past, then what comes.

    Signs of life of encoders are passed on too, and again and again what lies in the queue.
    Returns when the connection is lost; raises CommandError when there is none.
    """
    lost = asyncio.Event()
    client = await _connect(url, lost)
    facts = looking = None
    try:
        facts = await _subscribe(client, package_id.encode(), ears)
        again = _keep_looking(client, package_id.encode(), ears, look_every_s)
        looking = asyncio.create_task(again)
        await lost.wait()
    except (nats.errors.Error, JetStreamError) as error:
        if not lost.is_set():
            raise CommandError(f"NATS refused: {error}") from error
    finally:
        if looking is not None:
            await end(looking)
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


async def _subscribe(
    client: Client, package_id: bytes, ears: Ears
) -> JetStreamContext.PushSubscription:
    async def on_plain(msg: Msg) -> None:
        if package_id in msg.data or msg.subject == EncoderAlive.subject:
            _pass_on(_model(msg.subject), msg.data, ears, time.time())

    async def on_fact(msg: Msg) -> None:
        if package_id in msg.data:
            at = msg.metadata.timestamp.timestamp()
            _pass_on(_model(msg.subject), msg.data, ears, at)
        if msg.metadata.num_pending == 0:
            ears.catch_up()

    # Plain messages first, so that no work is asked for between the past and the present.
    for subject in PLAIN:
        await client.subscribe(subject, cb=on_plain)
    jetstream = client.jetstream(timeout=TIMEOUT_S)
    await _look_at_work(jetstream, package_id, ears)
    config = await _since_its_plan(jetstream, package_id)
    facts = await jetstream.subscribe(
        FACTS, stream=EVENTS.name, cb=on_fact, ordered_consumer=True, config=config
    )
    config.opt_start_time = None  # or it is refused when the client makes it anew, by number
    consumer = await facts.consumer_info()
    if not consumer.num_pending and not (consumer.delivered and consumer.delivered.consumer_seq):
        ears.catch_up()
    return facts


async def _since_its_plan(jetstream: JetStreamContext, package_id: bytes) -> ConsumerConfig:
    """Return from when on facts are read: those of all packages are many, of plans there are few.

    From the beginning, if the stream knows of no plan (any more).
    """
    plans = await jetstream.subscribe(
        PackagePlanned.subject, stream=EVENTS.name, ordered_consumer=True
    )
    try:
        known = await plans.consumer_info()
        more = known.num_pending or (known.delivered and known.delivered.consumer_seq)
        while more:
            plan = await plans.next_msg(timeout=TIMEOUT_S)
            if package_id in plan.data:
                return ConsumerConfig(
                    deliver_policy=DeliverPolicy.BY_START_TIME,
                    opt_start_time=plan.metadata.timestamp - BEFORE_ITS_PLAN,
                )
            more = plan.metadata.num_pending
    finally:
        await plans.unsubscribe()
    return ConsumerConfig()


async def _keep_looking(client: Client, package_id: bytes, ears: Ears, every_s: float) -> None:
    """Look at the queue until cancelled: nobody tells of work that only lies there."""
    jetstream = client.jetstream(timeout=TIMEOUT_S)
    while True:
        await asyncio.sleep(every_s)
        # One that fails tells nothing; whether the connection is lost is told elsewhere.
        with contextlib.suppress(nats.errors.Error, JetStreamError):
            await _look_at_work(jetstream, package_id, ears)


async def _look_at_work(jetstream: JetStreamContext, package_id: bytes, ears: Ears) -> None:
    """Pass on the work that is asked for already, and leave it where it is.

    The first chunks of a package are announced before its plan, so nobody could hear them in time.
    Messages are read by their numbers, without a consumer: no encoder misses or waits for any.
    """
    looked_at = time.time()
    tasks: set[UUID] = set()
    number = 0
    with contextlib.suppress(NotFoundError):  # behind the last one
        while True:
            raw = await jetstream.get_msg(
                str(WORK.name), number + 1, subject=f"{EncodeChunk.subject}.>", next=True
            )
            assert raw.seq is not None
            number = raw.seq
            if package_id in (raw.data or b"") and raw.time is not None:
                chunk = _pass_on(EncodeChunk, raw.data or b"", ears, raw.time.timestamp())
                tasks |= {chunk.task_id} if isinstance(chunk, EncodeChunk) else set()
    ears.see_work(tasks, looked_at)


def _pass_on(model: type[Message] | None, body: bytes, ears: Ears, at: float) -> Message | None:
    """Return the message that was passed on."""
    if model is not None:
        # What cannot be read is from another version; the map does without.
        with contextlib.suppress(ValidationError):
            message = model.model_validate_json(body)
            ears.hear(message, at)
            return message
    return None


def _model(subject: str) -> type[Message] | None:
    return EncodeChunk if subject.startswith(f"{EncodeChunk.subject}.") else MODELS.get(subject)


async def _ignore(_: Exception) -> None:
    """Errors reach us where we wait for an answer; nats-py would also log them."""
