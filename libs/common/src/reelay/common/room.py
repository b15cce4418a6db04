"""Two places for messages of one consumer: the second is only for beside work that can wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from nats.aio.msg import Msg
from nats.errors import BadSubscriptionError
from nats.js import JetStreamContext

PLACES = 2
JOINING_TIMEOUT_S = 1.0
"""How long a request lies on the server while a message is in hand. A server serves the oldest
request first, so those of who has nothing to do, which lie longer, come before it nearly always."""

CanWait = Callable[[bytes], bool]
"""Tells by a message's body whether its work can wait for that of another message."""


class Room:
    """What one handler has in hand. At most one of its places asks for a message at a time.

    It asks while nothing is in hand, or nothing but one message whose work can wait: so two that
    cannot are never in hand at once.
    """

    def __init__(self, can_wait: CanWait) -> None:
        self._can_wait = can_wait
        self._held: dict[object, bool] = {}
        """Whether the work can wait, by place."""
        self._asking = asyncio.Lock()
        self._left = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in hand."""
        return not self._held

    def take(self, place: object, body: bytes) -> None:
        """Note that a place has a message."""
        self._held[place] = self._can_wait(body)

    def leave(self, place: object) -> None:
        """Note that a place has none any more."""
        self._held.pop(place, None)
        self._left.set()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one more message may be asked for; nobody else asks until the block ends."""
        async with self._asking:
            while list(self._held.values()) not in ([], [True]):
                self._left.clear()
                await self._left.wait()
            yield


class SharedPull(JetStreamContext.PullSubscription):
    """The one pull subscription of a room's places, as one of them uses it.

    It asks in the room's turns; the place's message is done when it asks again. What answers an
    earlier request, of whichever place, is found by who asks next: nothing lies unread.
    """

    def __init__(self, pull: JetStreamContext.PullSubscription, room: Room) -> None:
        super().__init__(pull._js, pull._sub, pull._stream, pull._consumer, pull._deliver.encode())
        self._room = room

    async def fetch(
        self, batch: int = 1, timeout: float | None = 5, heartbeat: float | None = None
    ) -> list[Msg]:
        """Return one message, however long that takes."""
        self._room.leave(self)
        async with self._room.turn():
            while True:
                lasting_s = timeout if self._room.is_empty else JOINING_TIMEOUT_S
                with contextlib.suppress(TimeoutError):
                    messages = await super().fetch(1, lasting_s, heartbeat)
                    self._room.take(self, messages[0].data)
                    return messages

    async def unsubscribe(self) -> None:
        """End the subscription, unless another place has."""
        with contextlib.suppress(BadSubscriptionError):
            await super().unsubscribe()
