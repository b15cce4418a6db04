"""What becomes of a delivered message: acknowledged, tried again, waited for, or a dead letter."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from fast_depends.exceptions import ValidationError as DependsValidationError
from faststream import BaseMiddleware
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from reelay.common import metrics
from reelay.common.cloudevents import Envelope, wrap
from reelay.common.commands import DeadLetter
from reelay.common.errors import OutageError, PermanentError, TransientError
from reelay.common.fitness import Check, UnfitError, assert_fit, until_fit
from reelay.common.known_messages import ATTEMPTS, KnownMessages
from reelay.common.outages import outlast
from reelay.common.solitude import OneAloneError, Solitude
from reelay.common.streams import Consumer
from reelay.common.tasks import end

if TYPE_CHECKING:
    from faststream._internal.context.repository import ContextRepo
    from faststream.message import StreamMessage

MAX_RETRY_DELAY_S = 30.0
OTHERS_FIRST_S = 1.0
"""So much later than a failed message comes again, who failed asks for one if others do: another
should try."""

INVALID = (PermanentError, ValidationError, DependsValidationError)
"""No repetition helps."""

HANDED_ON, RETRIED = "handed-on", "retried"
"""Outcomes after which one may have to rest."""

GiveUp = Callable[[bytes, Exception], Awaitable[None]]
Publish = Callable[[Envelope], Awaitable[None]]
OthersAsk = Callable[[Consumer], Awaitable[bool]]
"""Tells whether anybody asks for messages of a consumer; who has one in hand does not."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Route:
    """A durable consumer and what to do when one of its messages is given up."""

    consumer: Consumer
    give_up: GiveUp | None = None
    check: Check | None = None
    """Whether this process can work. While it cannot, others get the messages of a `sole` consumer;
    those of another wait here."""

    @property
    def hand_on_check(self) -> Check | None:
        """The check of a consumer whose messages others get."""
        return self.check if self.consumer.sole else None


class ExhaustedError(TransientError):
    """The message was tried as often as allowed; its handler failed or died each time."""


class DeliveryMiddleware:
    """Makes one `_Delivery` per message; FastStream calls it as a middleware factory."""

    def __init__(
        self, routes: Mapping[str, Route], publish: Publish, others_ask: OthersAsk
    ) -> None:
        self.routes = routes
        self.publish = publish
        self.others_ask = others_ask
        self.known = KnownMessages()
        self.solitude = Solitude()
        self.handling: set[asyncio.Task[Any]] = set()
        self.returns: set[asyncio.Task[Any]] = set()

    def __call__(self, msg: Any, /, *, context: "ContextRepo") -> "_Delivery":
        return _Delivery(msg, self, context=context)

    async def settled(self, timeout_s: float) -> None:
        """Wait until handlers that were cancelled have ended and their messages are given back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while left := self.handling | self.returns:
                    await asyncio.wait(left)


class _Delivery(BaseMiddleware[Any, Any]):
    def __init__(
        self, msg: Any, /, middleware: DeliveryMiddleware, *, context: "ContextRepo"
    ) -> None:
        super().__init__(msg, context=context)
        self._middleware = middleware
        self._known = middleware.known

    async def consume_scope(
        self,
        call_next: Callable[["StreamMessage[Any]"], Awaitable[Any]],
        msg: "StreamMessage[Any]",
    ) -> Any:
        raw = msg.raw_message
        if not isinstance(raw, Msg) or not raw.reply.startswith("$JS.ACK."):
            return await self._consume_plain(call_next, msg)
        route = self._middleware.routes[raw.metadata.consumer]
        if await self._is_known(raw):
            metrics.MESSAGES_HANDLED.labels(route.consumer.durable, "again").inc()
            return None
        _add(self._middleware.handling, asyncio.current_task())
        started = time.monotonic()
        with (
            structlog.contextvars.bound_contextvars(
                consumer=route.consumer.durable, message_id=msg.headers.get("ce-id")
            ),
            self._known.holding(raw),
        ):
            async with _heartbeat(raw, route.consumer):
                outcome = await self._digest(call_next, msg, route)
        metrics.MESSAGE_SECONDS.labels(route.consumer.durable).observe(time.monotonic() - started)
        metrics.MESSAGES_HANDLED.labels(route.consumer.durable, outcome).inc()
        await self._rest(raw, route, outcome)
        return None

    async def _consume_plain(
        self,
        call_next: Callable[["StreamMessage[Any]"], Awaitable[Any]],
        msg: "StreamMessage[Any]",
    ) -> None:
        try:
            await call_next(msg)
        except Exception as error:  # the boundary of a message that nobody will send again
            log.warning("plain message failed", subject=msg.raw_message.subject, error=repr(error))

    async def _digest(
        self,
        call_next: Callable[["StreamMessage[Any]"], Awaitable[Any]],
        msg: "StreamMessage[Any]",
        route: Route,
    ) -> str:
        raw: Msg = msg.raw_message
        attempt, limit = self._known.attempt(raw), route.consumer.max_deliver
        # A failure at the limit is its last: what comes yet again was in hand of one that died.
        alone = attempt > limit
        if attempt > limit + route.consumer.sole:
            return await self._bury(raw, route, ExhaustedError())
        try:
            await self._try(call_next, msg, route, alone=alone)
        except (UnfitError, OneAloneError) as error:
            log.warning("handed on", error=repr(error)[:300])
            await self._give_back(raw, route.consumer, attempt)
            return HANDED_ON
        except INVALID as error:
            return await self._bury(raw, route, error)
        except asyncio.CancelledError:
            # On a task of its own: all that is awaited in this one is cancelled again.
            returning = asyncio.create_task(self._give_back(raw, route.consumer, attempt))
            _add(self._middleware.returns, returning)
            raise
        except Exception as error:  # the boundary: every other failure is tried again
            if attempt >= limit:
                return await self._bury(raw, route, error)
            delay = self._retry_delay_s(raw, route)
            log.warning("will try again", attempt=attempt, delay_s=delay, error=repr(error))
            await raw.nak(delay=delay)
            return RETRIED
        self._known.note_done(raw)
        await raw.ack()
        return "ok"

    def _retry_delay_s(self, raw: Msg, route: Route) -> float:
        doubled = route.consumer.retry_base_s * 2 ** (self._known.attempt(raw) - 1)
        return float(min(MAX_RETRY_DELAY_S, doubled))

    async def _rest(self, raw: Msg, route: Route, outcome: str) -> None:
        """Ask for no message while this process cannot work, or another should try first."""
        if outcome == HANDED_ON:
            await self._middleware.solitude.over()
        if (check := route.hand_on_check) is None:
            return
        if outcome == HANDED_ON:
            await until_fit(check)
        elif outcome == RETRIED and await self._middleware.others_ask(route.consumer):
            await asyncio.sleep(self._retry_delay_s(raw, route) + OTHERS_FIRST_S)

    async def _is_known(self, raw: Msg) -> bool:
        """Tell whether a message is in hand here, or done: it came again over a new connection.

        What is in hand is told to the server by who has it, whichever delivery that was.
        """
        if self._known.is_done(raw):
            await raw.ack()  # the first may have been lost with the connection
            return True
        return self._known.is_in_hand(raw)

    async def _give_back(self, raw: Msg, consumer: Consumer, attempt: int) -> None:
        """Let another replica have what this one, which is stopped or cannot work, cannot finish.

        JetStream counts every delivery. A message that nobody else consumes is put into its stream
        anew, so that stopping replicas, however often, is no failure of what they work on.
        """
        # Without a server it is delivered again, and counted, when there is one.
        with contextlib.suppress(OutageError, NatsError, OSError):
            if not consumer.sole:
                await raw.nak()
                return
            headers = dict(raw.headers or {})
            identity = f"{headers.get('ce-id')}:{raw.metadata.sequence.stream}"
            headers |= {ATTEMPTS: str(attempt - 1), "Nats-Msg-Id": identity}
            await self._middleware.publish(Envelope(raw.subject, headers, raw.data))
            await raw.ack_sync()

    async def _try(
        self,
        call_next: Callable[["StreamMessage[Any]"], Awaitable[Any]],
        msg: "StreamMessage[Any]",
        route: Route,
        *,
        alone: bool,
    ) -> None:
        """Let the handler digest a message.

        Raises UnfitError where not the message is to blame, and OneAloneError.
        """
        try:
            if not route.consumer.sole:
                await outlast(lambda: call_next(msg), route.check, hands_on=False)
                return
            async with self._middleware.solitude.entered(alone=alone):
                await outlast(lambda: call_next(msg), route.check, hands_on=True)
        except (*INVALID, UnfitError, OneAloneError):
            raise
        except Exception:  # whatever failed, it may be this process
            await assert_fit(route.hand_on_check)
            raise

    async def _bury(self, raw: Msg, route: Route, error: Exception) -> str:
        log.error("dead letter", error=repr(error), subject=raw.subject)
        if route.give_up is not None:
            try:
                await route.give_up(raw.data, error)
            except INVALID as again:  # it cannot be read: there is nothing to be given up
                log.error("cannot be given up", error=repr(again)[:300])
        letter = DeadLetter(
            original_subject=raw.subject,
            handler=route.consumer.durable,
            reason=repr(error)[:2000],
            kind="permanent" if isinstance(error, INVALID) else "exhausted",
            headers=dict(raw.headers or {}),
            body=raw.data.decode(errors="replace"),
        )
        identity = f"{route.consumer.durable}:{raw.metadata.sequence.stream}"
        await self._middleware.publish(
            wrap(letter, source=route.consumer.durable, message_id=identity)
        )
        self._known.note_done(raw)
        await raw.term()
        return "dead"


def _add(tasks: set[asyncio.Task[Any]], task: asyncio.Task[Any] | None) -> None:
    """Keep a task in a set until it is done."""
    assert task is not None
    tasks.add(task)
    task.add_done_callback(tasks.discard)


@contextlib.asynccontextmanager
async def _heartbeat(raw: Msg, consumer: Consumer) -> AsyncIterator[None]:
    """Tell the server that the message is in good hands until the block ends."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(consumer.heartbeat_s)
            # Without a connection there is nobody to tell, and the server delivers again.
            with contextlib.suppress(NatsError, OSError):
                await raw.in_progress()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        await end(task)
