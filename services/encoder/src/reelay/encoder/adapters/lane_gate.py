"""Pauses the FFmpegs of less urgent work while more urgent ones run, and always continues them."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from reelay.encoder.domain.precedence import Precedence, Rank, rests

LATE_S = 0.001
"""A timer is set later by this, so that it does not ring just before the change."""


class Pausable(Protocol):
    """A process that can stand still."""

    def pause(self) -> None:
        """Stop it; nothing happens when it is stopped or has ended."""
        ...

    def resume(self) -> None:
        """Let it go on; nothing happens when it runs or has ended."""
        ...


class Seat:
    """A place in a rank, for one process after it was allowed to start. Made by `LaneGate`."""

    def __init__(self, rank: Rank) -> None:
        self.rank = rank
        self._process: Pausable | None = None
        self._allowed = asyncio.Event()

    async def turn(self) -> None:
        """Wait until a process of this rank may start: what would rest need not begin."""
        await self._allowed.wait()

    def hold(self, process: Pausable) -> None:
        """Pause and continue this process from now on, until the seat is left."""
        self._process = process
        self.settle(resting=not self._allowed.is_set())

    def settle(self, *, resting: bool) -> None:
        """Rest or run."""
        if resting:
            self._allowed.clear()
        else:
            self._allowed.set()
        if self._process is not None:
            if resting:
                self._process.pause()
            else:
                self._process.resume()


class LaneGate:
    """Knows every FFmpeg of this encoder by its rank. For one event loop.

    It pauses only processes that were given to it: other encoders on the machine have their own.
    """

    def __init__(self, longest_pause_s: float) -> None:
        self._precedence = Precedence(rests(longest_pause_s))
        self._seats: list[Seat] = []
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def seat(self, rank: Rank) -> Iterator[Seat]:
        """Count as work of a rank for the block: lower ones rest from its very beginning."""
        seat = Seat(rank)
        self._seats.append(seat)
        self._precedence.enter(rank, time.monotonic())
        self._settle()
        try:
            yield seat
        finally:
            self._seats.remove(seat)
            self._precedence.leave(seat.rank, time.monotonic())
            self._settle()

    def move(self, seat: Seat, rank: Rank) -> None:
        """Count what is left of a seat's work as work of another rank."""
        if rank is not seat.rank:
            self._precedence.leave(seat.rank, time.monotonic())
            seat.rank = rank
            self._precedence.enter(rank, time.monotonic())
            self._settle()

    def _settle(self) -> None:
        """Bring all processes to what they should do, and come back when that changes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._precedence.advance(time.monotonic())
        resting = self._precedence.resting()
        for seat in self._seats:
            seat.settle(resting=seat.rank in resting)
        change_s = self._precedence.change_s()
        if change_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, change_s) + LATE_S, self._settle)
