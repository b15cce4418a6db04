"""The broker: publishing with acknowledgement, and handlers that lose nothing.

FastStream carries the subscriptions; `delivery.DeliveryMiddleware` alone decides what becomes of a
message. Handlers take one event, and say what went wrong by the type of the error they raise.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import nats.errors
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from nats.aio.client import Client
from nats.js import JetStreamContext

from reelay.common.cloudevents import Envelope, wrap
from reelay.common.delivery import DeliveryMiddleware, GiveUp, Route
from reelay.common.errors import OutageError, SetupError
from reelay.common.events import Event
from reelay.common.fitness import Check
from reelay.common.message import Message
from reelay.common.room import CanWait, Room, SharedPull
from reelay.common.streams import Consumer, declare_consumer, declare_streams
from reelay.common.tasks import end

PULL_TIMEOUT_S = 20.0
"""How long a request for a message lies on the server. Making them anew is most of what a system
costs that has nothing to do; but nats-py overhears when a cluster drops them with their leader."""
GONE = {"Status": "503"}
"""Header of what a client gets whose request nobody has: nats-py ends its waiting for nothing else.
"""
PUBLISH_TIMEOUT_S = 5.0
RETRY_S = 0.5
COMPLAINT_S = 10.0
"""So often at most the same is said of the connection, which is tried every second."""
REFUSED = "authorization violation"
STOP_TIMEOUT_S = 1.0
"""How long a handler may go on after a stop; then its message is given back."""
GIVE_BACK_TIMEOUT_S = 5.0
"""How long handlers that were cancelled may take to end, and to give their messages back."""

log = structlog.get_logger()

M = TypeVar("M", bound=Message)
Handler = Callable[[M], Awaitable[None]]


class BrokerUnavailableError(OutageError):
    """The message broker does not answer."""


class BrokerRefusedError(SetupError):
    """The message broker does not let this service in."""


class Messaging:
    """One service's connection to NATS."""

    def __init__(self, url: str, service: str) -> None:
        self.service = service
        self._routes: dict[str, Route] = {}
        self._deliveries = DeliveryMiddleware(self._routes, self._publish, self._others_ask)
        self._restoring: asyncio.Task[None] | None = None
        self._rooms: list[Callable[[], Awaitable[None]]] = []
        self._complaint = ("", -COMPLAINT_S)
        self.broker = NatsBroker(
            url,
            name=f"reelay-{service}",
            logger=None,
            graceful_timeout=STOP_TIMEOUT_S,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=5,
            ping_interval=10,
            max_outstanding_pings=2,
            reconnected_cb=self._on_reconnected,
            error_cb=self._on_error,
            middlewares=[
                NatsTelemetryMiddleware(),
                self._deliveries,
            ],
        )

    def on(
        self,
        consumer: Consumer,
        handler: Handler[M],
        *,
        give_up: GiveUp | None = None,
        can_wait: CanWait | None = None,
        check: Check | None = None,
    ) -> None:
        """Let `handler` digest the messages of a durable consumer.

        `give_up(message_body, error)` is called before a message becomes a dead letter. A failure,
        or a server that stays away, while `check` raises is this process' own: a `sole` consumer's
        message goes to another replica, uncounted, and no more are taken before it returns. A store
        that stays away while `check` finds nothing wrong is a failure of the message. While
        nothing is in hand but one message of which `can_wait(message_body)` is true, one more is
        taken; such a consumer has no batch. Those of a batch are asked for one after another.
        """
        self._routes[consumer.durable] = Route(consumer, give_up, check)
        if can_wait is not None or consumer.batch > 1:
            room = Room(can_wait, max(2, consumer.batch))
            self._rooms.append(partial(self._open_room, consumer, handler, room))
        else:
            self._subscriber(consumer)(handler)

    def on_plain(self, message: type[M], handler: Handler[M], *, queue: str = "") -> None:
        """Let `handler` see plain NATS messages, which are never stored; of a `queue`, one sees it.

        Also works on the subject of an event, for those who only want to hear it now.
        """
        # Without no_reply, FastStream would answer a published fact before JetStream does, and
        # the publisher would take that for its acknowledgement.
        self.broker.subscriber(message.subject, queue=queue, no_reply=True)(handler)

    async def start(self) -> None:
        """Connect, declare streams and consumers, and begin to consume.

        A broker that does not answer, or has too much to do, is waited for; raises
        BrokerRefusedError.
        """
        while True:
            try:
                await self.broker.connect()
                break
            except nats.errors.Error as error:
                if REFUSED in str(error).lower():
                    raise BrokerRefusedError(
                        f"{error} - has the URL of NATS the server's user and password?"
                    ) from error
                await asyncio.sleep(RETRY_S)
        await self._declare_when_ready()
        await self.broker.start()
        for open_room in self._rooms:
            await open_room()

    async def stop(self) -> None:
        """Stop consuming; a message in hand is given back."""
        if self._restoring is not None:
            await end(self._restoring)
        # Without a server there is nothing to drain to; what is pending ends with the process.
        with contextlib.suppress(nats.errors.ConnectionReconnectingError):
            await asyncio.gather(*(each.stop() for each in self.broker.subscribers))
            await self._deliveries.settled(GIVE_BACK_TIMEOUT_S)
            await self.broker.stop()

    async def publish(self, event: Message, *, message_id: str | UUID | None = None) -> None:
        """Store `event` in its stream; return when the server acknowledged it.

        Raises BrokerUnavailableError otherwise.
        """
        await self._publish(wrap(event, source=self.service, message_id=message_id))

    async def publish_envelope(self, envelope: Envelope) -> None:
        """Store a message that was wrapped earlier; raises BrokerUnavailableError."""
        await self._publish(envelope)

    async def tell(self, message: Message) -> None:
        """Send a plain NATS message to whoever listens now."""
        if isinstance(message, Event):
            raise TypeError("facts are published, not told")
        envelope = wrap(message, source=self.service)
        envelope.headers.pop("Nats-Msg-Id")
        await self.client.publish(envelope.subject, envelope.body, headers=envelope.headers)

    async def check(self) -> None:
        """Return when the broker answers; raise BrokerUnavailableError otherwise."""
        if not await self.broker.ping(timeout=2.0):
            raise BrokerUnavailableError

    @property
    def client(self) -> Client:
        """The plain NATS connection."""
        client: Any = self.broker.config.connection_state.connection
        assert isinstance(client, Client)
        return client

    @property
    def jetstream(self) -> JetStreamContext:
        """The JetStream interface of the connection."""
        return self.client.jetstream(timeout=PUBLISH_TIMEOUT_S)

    def _subscriber(self, consumer: Consumer) -> Any:
        return self.broker.subscriber(
            consumer.subject,
            stream=JStream(consumer.stream, declare=False),
            durable=consumer.durable,
            config=consumer.config(),
            pull_sub=PullSub(batch_size=1, timeout=PULL_TIMEOUT_S),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )

    async def _open_room(self, consumer: Consumer, handler: Handler[M], room: Room) -> None:
        # One fetch loop per message at a time: nats-py holds the first message of a larger
        # fetch back until the batch is full or its time is over.
        first: JetStreamContext.PullSubscription | None = None
        for _ in range(room.places):
            subscriber = self._subscriber(consumer)
            subscriber(handler)
            await subscriber.start()
            # Its loop is a task that has not begun, so it asks for nothing before this.
            if first is None:
                first = subscriber.subscription
            else:
                await subscriber.subscription.unsubscribe()
            subscriber.subscription = SharedPull(first, room)

    async def _declare_when_ready(self) -> None:
        """Declare streams and consumers; JetStream may come, or elect a leader, after NATS."""
        while True:
            try:
                await self._declare()
                return
            except (nats.errors.Error, OSError) as error:
                log.warning("streams wait for the broker", error=repr(error)[:300])
                await asyncio.sleep(RETRY_S)

    async def _declare(self) -> None:
        await declare_streams(self.jetstream)
        for route in self._routes.values():
            await declare_consumer(self.jetstream, route.consumer)

    async def _on_error(self, error: Exception) -> None:
        (said, at_s), now_s, what = self._complaint, time.monotonic(), repr(error)[:300]
        if what != said or now_s - at_s >= COMPLAINT_S:
            self._complaint = (what, now_s)
            log.warning("the broker cannot be used", error=what)

    async def _on_reconnected(self) -> None:
        if self._restoring is None or self._restoring.done():
            self._restoring = asyncio.create_task(self._restore())

    async def _restore(self) -> None:
        """Go on after the server was away: streams that it lost are made anew, and asked.

        Requests for messages went with it. Nobody tells nats-py, which would wait on until they
        would have ended by themselves.
        """
        await self._declare_when_ready()
        pulls = [
            getattr(subscriber, "subscription", None) for subscriber in self.broker.subscribers
        ]
        asking = [each for each in pulls if isinstance(each, JetStreamContext.PullSubscription)]
        for inbox in {pull._deliver for pull in asking}:
            await self.client.publish(inbox, headers=GONE)

    async def _others_ask(self, consumer: Consumer) -> bool:
        with contextlib.suppress(nats.errors.Error, OSError):
            info = await self.jetstream.consumer_info(consumer.stream, consumer.durable)
            return bool(info.num_waiting)
        return False

    async def _publish(self, envelope: Envelope) -> None:
        try:
            await self.jetstream.publish(
                envelope.subject, envelope.body, headers=dict(envelope.headers)
            )
        except (nats.errors.Error, OSError, ValueError) as error:
            # ValueError: somebody else answered, in no form of an acknowledgement.
            raise BrokerUnavailableError(f"The broker does not answer: {error!r}") from error
