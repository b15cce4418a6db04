"""What is under way counts as coming while it makes progress, and for the next segments only."""

import pytest

from reelay.common.commands import Lane
from reelay.packager.domain.chunks import Chunk
from reelay.packager.domain.coming import OPENING_SOON_S, RESTING_SOON_S, comes_soon

AHEAD = Chunk(Lane.OPENING, "software", ("360p", "audio"), 21, 24)
OPENING = Chunk(Lane.OPENING, "software", ("360p", "audio"), 1, 3)
UNTIL_20 = (1 << 20) - 1


def test_demanded_segment_is_coming_however_long_it_takes_and_the_ladder_never_is() -> None:
    demanded = Chunk(Lane.ONDEMAND, "software", ("360p",), 21, 21)
    assert comes_soon(demanded, 21, 0, age_s=1e6, quiet_s=None)
    ladder = Chunk(Lane.LADDER, "software", ("360p",), 21, 30)
    assert not comes_soon(ladder, 21, 0, age_s=0.0, quiet_s=0.0)


@pytest.mark.parametrize("chunk", [OPENING, AHEAD])
def test_all_of_a_young_chunk_is_coming(chunk: Chunk) -> None:
    for number in range(chunk.first, chunk.last + 1):
        assert comes_soon(chunk, number, 0, age_s=OPENING_SOON_S - 0.1, quiet_s=None)


def test_segment_ahead_of_a_viewer_is_coming_while_it_may_rest_and_is_made() -> None:
    for age_s, comes in [(5.9, True), (6.1, False)]:
        assert comes_soon(AHEAD, 21, UNTIL_20, age_s=age_s, quiet_s=None) is comes
    for quiet_s, comes in [(5.9, True), (6.1, False)]:
        stored = UNTIL_20 | 1 << 20
        assert comes_soon(AHEAD, 22, stored, age_s=60.0, quiet_s=quiet_s) is comes


def test_segment_far_behind_the_next_is_not_coming() -> None:
    comes = [comes_soon(AHEAD, n, UNTIL_20, age_s=4.0, quiet_s=None) for n in range(21, 25)]
    assert comes == [True, True, False, False]
    stored = UNTIL_20 | 1 << 20
    comes = [comes_soon(AHEAD, n, stored, age_s=4.0, quiet_s=0.0) for n in range(22, 25)]
    assert comes == [True, True, False]


def test_first_picture_is_not_waited_for_as_long_as_those_after_it() -> None:
    assert OPENING_SOON_S < 4.0 < RESTING_SOON_S
    assert not comes_soon(OPENING, 1, 0, age_s=4.0, quiet_s=None)
    assert not comes_soon(OPENING, 1, 0, age_s=4.0, quiet_s=0.0)  # that was sound
    assert comes_soon(OPENING, 2, 1, age_s=10.0, quiet_s=4.0)
    assert not comes_soon(OPENING, 2, 1, age_s=10.0, quiet_s=6.1)
