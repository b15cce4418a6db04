"""Which messages a process has in hand or has digested: each is digested once, its tries counted.

JetStream delivers a message again when it hears nothing of it, as while there is no connection, to
the same process too.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from nats.aio.msg import Msg

KNOWN = 1000
"""So many messages that were digested here are known, should they be delivered once more; and so
many that came again."""

ATTEMPTS = "reelay-attempts"
"""Header of a message that was put into its stream anew: how often it was tried before."""

Identity = tuple[str, str, int, str]
"""Stream, consumer, sequence in the stream, and the message's own: a stream may be made anew."""


class KnownMessages:
    """The messages of all consumers of one process."""

    def __init__(self) -> None:
        self._in_hand: set[Identity] = set()
        self._ignored: Counter[Identity] = Counter()
        """How often a message came again that was in hand: that is no attempt."""
        self._done: dict[Identity, None] = {}

    def attempt(self, raw: Msg) -> int:
        """Return how often a message was tried, this time included, but not by who was stopped."""
        before = int((raw.headers or {}).get(ATTEMPTS, 0))
        return raw.metadata.num_delivered + before - self._ignored[_identity(raw)]

    def is_done(self, raw: Msg) -> bool:
        """Tell whether it was digested here."""
        return _identity(raw) in self._done

    def note_done(self, raw: Msg) -> None:
        """Note that it was digested."""
        identity = _identity(raw)
        self._done[identity] = None
        self._ignored.pop(identity, None)
        _forget_oldest(self._done)

    def is_in_hand(self, raw: Msg) -> bool:
        """Tell whether it is in hand already; then this delivery is none of its attempts."""
        identity = _identity(raw)
        if identity not in self._in_hand:
            return False
        self._ignored[identity] += 1
        _forget_oldest(self._ignored)
        return True

    @contextlib.contextmanager
    def holding(self, raw: Msg) -> Iterator[None]:
        """Have it in hand for the block."""
        identity = _identity(raw)
        self._in_hand.add(identity)
        try:
            yield
        finally:
            self._in_hand.discard(identity)


def _identity(raw: Msg) -> Identity:
    place, own = raw.metadata, (raw.headers or {}).get("ce-id", "")
    return place.stream, place.consumer, place.sequence.stream, own


def _forget_oldest(known: dict[Identity, Any]) -> None:
    if len(known) > KNOWN:
        del known[next(iter(known))]
