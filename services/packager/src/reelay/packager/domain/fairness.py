"""Whose chunk is next: owners share the encoders evenly, and so do the packages of one owner.

Start-time fair queueing (Goyal, Vin and Cheng, 1997), the continuous form of deficit round robin:
everybody has a virtual time that grows by the cost of what was dispatched for them, the one whose
time is least is served next, and whoever comes starts at the time of the present round.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """A package that has a chunk to dispatch, and the virtual times of it and of its owner."""

    package_id: str
    owner_id: str
    created_at_s: float
    package_time: float
    owner_time: float


def next_in_turn(contenders: Iterable[Contender]) -> Contender:
    """Return the contender to be served next; the older one of equals."""
    return min(contenders, key=lambda c: (c.owner_time, c.package_time, c.created_at_s))


def joining_time(own: float | None, present_round: float) -> float:
    """Return the virtual time at which somebody joins those who are being served.

    `own` is the time of an earlier stay, `present_round` that of who was served last, which no rest
    sets back. Nobody saves up turns while away, or returns to wipe out what they got.
    """
    return present_round if own is None else max(own, present_round)
