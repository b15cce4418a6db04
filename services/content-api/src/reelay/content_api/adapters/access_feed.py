"""Follows the stream of restricted packages: all of it at first, then every change as it comes.

A push consumer without acknowledgements; its idle heartbeats tell that nothing was missed. Whenever
something may have been, everything is read anew. A stream that was lost and made anew lacks what
the old one had until the catalog has told it all: it is not trusted before it says so. One that a
broker set back, because its disk had not kept everything, must say so once more.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from reelay.common.content_access import Access, AllAccessTold, ContentAccessChanged
from reelay.common.messaging import Messaging
from reelay.common.streams import ACCESS
from reelay.content_api.domain.access import CLOSED, Restriction, Restrictions

STREAM = str(ACCESS.name)
EVERYTHING = "access.>"
HEARTBEAT_S = 1.0
SILENCE_S = 2.5
"""Nothing, not even a heartbeat, for so long: the broker is away."""
FORGOTTEN_S = 10.0
"""The broker drops a consumer that nobody listens to after this time."""
RETRY_S = 0.5
START_S = 15.0
"""So long after the first connection the stream may still be made by a catalog that starts too."""

log = structlog.get_logger()


class FeedBrokenError(Exception):
    """Something may have been missed."""


@dataclass(slots=True)
class Reading:
    """What was read of one stream before everything of it was."""

    made_at: datetime | None
    """When the stream was made."""
    told_after: int = 0
    """What was said of it up to this place was true once, and something newer may be gone."""
    known: dict[str, Restriction] = field(default_factory=dict)
    all_told: bool = False
    """Whether the catalog said that it told this very stream all."""
    caught_up: bool = False
    """Whether everything was read that was in it when reading began."""


OUTAGES = (FeedBrokenError, nats.errors.Error, OSError, TimeoutError)


class AccessFeed:
    """Keeps restrictions current."""

    def __init__(
        self,
        messaging: Messaging,
        restrictions: Restrictions,
        on_restricted: Callable[[str], None],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_restricted` is called with each package that fewer people may fetch, or others."""
        self._messaging = messaging
        self._restrictions = restrictions
        self._on_restricted = on_restricted
        self._now = now
        self._expected_by_s = 0.0
        self._warned = False
        self._made_at: datetime | None = None
        self._seen = 0
        """How far the stream that was made then was followed while it was current."""
        self._set_back_to: int | None = None
        """Where it ended when it was found to end before that; until it is current again."""

    async def run(self, connected: asyncio.Event) -> None:
        """Follow for ever, as soon as there is a connection."""
        await connected.wait()
        self._expected_by_s = self._now() + START_S
        while True:
            try:
                await self._follow()
            except OUTAGES as error:
                self._warn(repr(error))
            finally:
                self._restrictions.current = False
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        """Read everything, then every change; raises one of OUTAGES when that ends."""
        client = self._messaging.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox)
        try:
            await self._messaging.jetstream.add_consumer(STREAM, _config(inbox))
            # Asked for afterwards: of a stream made in between, this consumer brings nothing.
            info = await self._messaging.jetstream.stream_info(STREAM)
            reading = Reading(info.created, self._untrusted(info.created, info.state.last_seq))
            position = last = 0
            while True:
                message = await subscription.next_msg(timeout=SILENCE_S)
                if _is_control(message):
                    await self._answer(message)
                    _check(message, position)
                    idle = _is_idle(message)
                else:
                    position = _next(message, position)
                    self._take(message, reading)
                    last = message.metadata.sequence.stream
                    idle = message.metadata.num_pending == 0
                if not self._restrictions.current:
                    reading.caught_up |= idle
                    self._judge(reading)
                if self._restrictions.current:
                    self._made_at, self._seen, self._set_back_to = reading.made_at, last, None
        finally:
            await _leave(subscription)

    def _untrusted(self, made_at: datetime | None, last: int) -> int:
        """Return up to where a stream that ends at `last` may lack what it had; 0: it does not."""
        if made_at != self._made_at:
            return 0
        if last < (self._seen if self._set_back_to is None else self._set_back_to):
            self._set_back_to = last  # where it ended first: what the catalog says behind counts
        return self._set_back_to or 0

    def _take(self, message: Msg, reading: Reading) -> None:
        """Note a state at once, and for later that it is one of this stream's."""
        is_old = message.metadata.sequence.stream <= reading.told_after
        try:
            if message.subject == AllAccessTold.subject:
                told = AllAccessTold.model_validate_json(message.data)
                reading.all_told |= told.stream_made_at == reading.made_at and not is_old
                return
            state = ContentAccessChanged.model_validate_json(message.data)
        except ValidationError as error:
            log.error("not a state of a package", subject=message.subject, error=repr(error)[:200])
            return
        package_id, restriction = state.package_id, _restriction(state)
        is_news = self._restrictions.get(package_id) != restriction and not is_old
        if is_news:
            self._restrictions.note(package_id, restriction)
        if is_news and restriction is not None:
            self._on_restricted(package_id)
        if self._restrictions.current:
            return
        if restriction is not None:
            reading.known[package_id] = restriction
        else:
            reading.known.pop(package_id, None)

    def _judge(self, reading: Reading) -> None:
        """Trust the stream, and forget what it does not have, as soon as it has everything."""
        if not reading.caught_up:
            return
        if not reading.all_told:
            self._warn("the catalog has not told the stream everything")
            return
        news = self._restrictions.replace(reading.known)
        self._restrictions.current = self._restrictions.were_current = True
        log.info("restrictions are current", restricted=len(reading.known))
        self._warned = False
        reading.known = {}
        for package_id in news:
            self._on_restricted(package_id)

    async def _answer(self, message: Msg) -> None:
        """Let the broker send more (flow control)."""
        stalled = (message.headers or {}).get("Nats-Consumer-Stalled")
        for subject in (message.reply, stalled):
            if subject:
                await self._messaging.client.publish(subject)

    def _warn(self, reason: str) -> None:
        """Tell once that nothing is current, if that is not just because everything starts."""
        starting = not self._restrictions.were_current and self._now() < self._expected_by_s
        if not self._warned and not starting:
            log.warning("restrictions are looked up in the store", reason=reason)
            self._warned = True


def _config(inbox: str) -> ConsumerConfig:
    return ConsumerConfig(
        deliver_subject=inbox,
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        filter_subject=EVERYTHING,
        ack_policy=AckPolicy.NONE,
        idle_heartbeat=HEARTBEAT_S,
        flow_control=True,
        inactive_threshold=FORGOTTEN_S,
        mem_storage=True,
        num_replicas=1,
    )


def _restriction(state: ContentAccessChanged) -> Restriction | None:
    if state.access is Access.OPEN:
        return None
    if state.access is Access.CLOSED:
        return CLOSED
    return Restriction(frozenset(str(video_id) for video_id in state.video_ids))


def _is_control(message: Msg) -> bool:
    return not message.data and (message.headers or {}).get("Status") == "100"


def _is_idle(message: Msg) -> bool:
    """Tell whether a control message is a heartbeat of a broker with nothing more to send."""
    return not message.reply and "Nats-Consumer-Stalled" not in (message.headers or {})


def _check(message: Msg, position: int) -> None:
    """Raise FeedBrokenError when a heartbeat tells of messages that did not come."""
    last = (message.headers or {}).get("Nats-Last-Consumer")
    if last is not None and int(last) != position:
        raise FeedBrokenError(f"{last} were sent and {position} came")


def _next(message: Msg, position: int) -> int:
    """Return the position of a message; raise FeedBrokenError unless it follows the last one."""
    came = message.metadata.sequence.consumer
    if came != position + 1:
        raise FeedBrokenError(f"{came} came after {position}")
    return came


async def _leave(subscription: Subscription) -> None:
    """Stop listening; without a connection that happened already."""
    with suppress(nats.errors.Error, OSError):
        await subscription.unsubscribe()
