"""How much work is under way at once, by lane, for a number of live encoders."""

from math import ceil

SPARE = 0.5
"""Ladder chunks that wait beyond one per encoder, so that no encoder runs dry between two."""


def ladder_window(encoders: int) -> int:
    """Return how many ladder chunks may be under way: few, so that all packages get their turn."""
    return encoders + ceil(encoders * SPARE)


def ondemand_window(encoders: int) -> int:
    """Return how many demanded chunks may be under way; the rest waits where it can still lapse."""
    return encoders + 1


def opening_window(encoders: int) -> int:
    """Return how many openings may be under way; of the rest, owners' turns decide."""
    return encoders + 1


def ahead_window(encoders: int) -> int:
    """Return how many chunks may run ahead of viewers, so that openings find encoders free."""
    return ceil(encoders / 2)
