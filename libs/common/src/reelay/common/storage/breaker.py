"""A circuit breaker: a server that failed again and again is left alone for a while.

The states are those of M. Nygard, "Release It!", 2nd ed., section 5.2: closed (requests pass),
open (requests fail at once), half-open (one request tries whether the server is back).
"""

import threading
import time
from collections.abc import Callable
from enum import StrEnum

THRESHOLD = 5
COOL_DOWN_S = 5.0


class Circuit(StrEnum):
    """State of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """Counts failures in a row; safe to use from several threads."""

    def __init__(
        self,
        threshold: int = THRESHOLD,
        cool_down_s: float = COOL_DOWN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open after `threshold` failures in a row, and try again after `cool_down_s`."""
        self._threshold = threshold
        self._cool_down_s = cool_down_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._tries_at_s = 0.0
        """When, once opened, the next request may try."""
        self._trying = False

    @property
    def state(self) -> Circuit:
        """The present state."""
        with self._lock:
            if self._failures < self._threshold:
                return Circuit.CLOSED
            return Circuit.HALF_OPEN if self._trying else Circuit.OPEN

    def lets_pass(self) -> bool:
        """Tell whether a request may be made; its outcome must be told then.

        A trial whose outcome is never told counts for one more `cool_down_s`, then another may try.
        """
        with self._lock:
            if self._failures < self._threshold:
                return True
            if self._clock() < self._tries_at_s:
                return False
            self._tries_at_s = self._clock() + self._cool_down_s
            self._trying = True
            return True

    def succeeded(self) -> None:
        """Close: the server works."""
        with self._lock:
            self._failures, self._trying = 0, False

    def failed(self) -> bool:
        """Count a failure; return whether it opened the circuit."""
        with self._lock:
            was_closed = self._failures < self._threshold
            self._failures += 1
            if self._failures < self._threshold:
                return False
            self._tries_at_s = self._clock() + self._cool_down_s
            self._trying = False
            return was_closed
