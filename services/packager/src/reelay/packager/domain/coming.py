"""Whether a segment comes so soon that nobody need ask for it again: told by progress."""

from reelay.common.commands import Lane
from reelay.packager.domain.chunks import Chunk

OPENING_SOON_S = 3.0
"""What an opening chunk contains that was dispatched less long ago is not demanded again."""
RESTING_SOON_S = 6.0
"""The same of the next segments of what rests for viewers (docs/decisions/0005), and since the last
one was stored: a demanded segment takes 2.6 s (1080p of a camera on two cores), and the first one
ahead of its viewer, half of which another would throw away, as long again."""
NEXT_SEGMENTS = 2
"""How many segments that are not stored yet are the next: players fetch one ahead. Who waits for a
later one has sought there, and should not wait for those in between."""


def comes_soon(
    chunk: Chunk, number: int, stored: int, *, age_s: float, quiet_s: float | None
) -> bool:
    """Tell whether a segment of a chunk is made soon, on a lane that does not wait for lower ones.

    `stored` are the stored segments of its rendition as a bit set; `age_s` is how long ago the
    chunk was dispatched, `quiet_s` how long ago a segment was last stored that it made, if any was.
    Without progress for seconds it may wait behind others, or its encoder be dead.
    """
    if chunk.lane != Lane.OPENING:
        return chunk.lane == Lane.ONDEMAND
    if age_s < OPENING_SOON_S:
        return True
    lacking = ~stored >> (chunk.first - 1)
    following = chunk.first - 1 + (lacking & -lacking).bit_length()
    if following == 1:  # the first picture, which takes half a second and rests for one
        return False
    silent_s = age_s if quiet_s is None else quiet_s
    return number < following + NEXT_SEGMENTS and silent_s < RESTING_SOON_S
