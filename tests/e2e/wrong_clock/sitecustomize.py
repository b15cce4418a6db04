"""Makes the clock of each Python that has this folder on its path wrong, as a machine's may be.

Wrong is the time of day: `time.time`, `time.time_ns`, and `datetime.now`, which asks the kernel
by itself. Clocks that only measure go on, and so do those of other programs and of the files.
"""

import datetime
import os
import time
from typing import Any, Self

AHEAD_S = int(os.environ["WRONG_CLOCK_AHEAD_S"])

_time, _time_ns, _moment = time.time, time.time_ns, datetime.datetime


class _Kind(type):
    """Takes moments that C code made, which are of the class that was replaced, for its own."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _moment)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _moment)


class _Wrong(_moment, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        return super().now(tz) + datetime.timedelta(seconds=AHEAD_S)


time.time = lambda: _time() + AHEAD_S
time.time_ns = lambda: _time_ns() + AHEAD_S * 10**9
datetime.datetime = _Wrong  # type: ignore[misc]  # for all who import it from now on
