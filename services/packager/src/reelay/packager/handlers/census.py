"""Who encodes: what encoders say of themselves every second."""

import time
from collections.abc import Callable

from reelay.common.commands import EncoderAlive

ALIVE_FOR_S = 5.0


class EncoderCensus:
    """How many encoders are alive, by what they say of themselves every second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._seen: dict[str, float] = {}

    async def hear(self, alive: EncoderAlive) -> None:
        """Note a sign of life, by our own clock."""
        self._seen[alive.encoder_id] = self.clock()

    def count(self) -> int:
        """Return how many are alive; one when none has spoken yet."""
        limit = self.clock() - ALIVE_FOR_S
        self._seen = {who: when for who, when in self._seen.items() if when > limit}
        return max(1, len(self._seen))
