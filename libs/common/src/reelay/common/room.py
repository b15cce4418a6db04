"""Places for messages of one consumer: one at a time asks, so that one request lies on the server.

Some messages are taken only beside work that can wait for them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from nats.aio.msg import Msg
from nats.errors import BadSubscriptionError
from nats.js import JetStreamContext

JOINING_TIMEOUT_S = 1.0
"""How long a request of who defers lies on the server. It serves the oldest request first, so those
of who has nothing to do, which lie longer, come before it nearly always."""

CanWait = Callable[[bytes], bool]
"""Tells by a message's body whether its work can wait for that of another message."""


class Room:
    """What one handler has in hand. At most one of its places asks for a message at a time.

    It asks while a place is free, and nothing is in hand whose work cannot wait: so two that cannot
    are never in hand at once.
    """

    def __init__(self, can_wait: CanWait | None = None, places: int = 2) -> None:
        """Take as many messages as there are places, of whichever work, without `can_wait`."""
        self.places = places
        self._can_wait = can_wait
        self._held: dict[object, bool] = {}
        """Whether the work can wait, by place."""
        self._asking = asyncio.Lock()
        self._left = asyncio.Event()

    @property
    def defers(self) -> bool:
        """Whether who has nothing in hand should get a message before this."""
        return self._can_wait is not None and bool(self._held)

    def take(self, place: object, body: bytes) -> None:
        """Note that a place has a message."""
        self._held[place] = self._can_wait is None or self._can_wait(body)

    def leave(self, place: object) -> None:
        """Note that a place has none any more."""
        self._held.pop(place, None)
        self._left.set()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one more message may be asked for; nobody else asks until the block ends."""
        async with self._asking:
            while len(self._held) == self.places or not all(self._held.values()):
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
                lasting_s = JOINING_TIMEOUT_S if self._room.defers else timeout
                with contextlib.suppress(TimeoutError):
                    messages = await super().fetch(1, lasting_s, heartbeat)
                    self._room.take(self, messages[0].data)
                    return messages

    async def unsubscribe(self) -> None:
        """End the subscription, unless another place has."""
        with contextlib.suppress(BadSubscriptionError):
            await super().unsubscribe()
