"""Which rungs a source gets."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.packager.domain.ladder import REFERENCE_FRAMES, TooLargeError, ladder

RATE = Fraction(30)


def names(width: int, height: int) -> list[str]:
    return [rung.name for rung in ladder(width, height, RATE)]


def test_source_of_1080p_gets_all_rungs_up_to_itself() -> None:
    assert names(1920, 1080) == ["360p", "480p", "720p", "1080p"]


def test_source_of_2160p_gets_all_rungs() -> None:
    assert names(3840, 2160) == ["360p", "480p", "720p", "1080p", "1440p", "2160p"]


def test_no_rung_lies_above_the_source() -> None:
    assert names(1300, 719) == ["360p", "480p"]


def test_portrait_source_swaps_width_and_height() -> None:
    rungs = ladder(1080, 1920, RATE)
    assert [(r.width, r.height) for r in rungs][-1] == (1080, 1920)
    assert [r.name for r in rungs][-1] == "1080p"


def test_source_below_the_lowest_rung_gets_one_of_its_own_size() -> None:
    assert [(r.name, r.width, r.height) for r in ladder(321, 241, RATE)] == [("240p", 320, 240)]


def test_one_pixel_becomes_the_smallest_even_picture() -> None:
    assert [(r.width, r.height) for r in ladder(1, 1, RATE)] == [(2, 2)]


def test_too_large_a_picture_is_refused_with_its_size() -> None:
    with pytest.raises(TooLargeError, match="9000x10"):
        ladder(9000, 10, RATE)


@pytest.mark.parametrize(
    ("width", "height", "rate", "level"),
    [
        (640, 360, 30, "3.0"),
        (1280, 720, 30, "3.1"),
        (1920, 1080, 30, "4.0"),
        (1920, 1080, 60, "4.2"),
        (3840, 2160, 30, "5.1"),
        (3840, 2160, 60, "5.2"),
    ],
)
def test_level_is_the_lowest_that_holds(width: int, height: int, rate: int, level: str) -> None:
    assert ladder(width, height, Fraction(rate))[-1].level.name == level


def test_codec_string_carries_the_level() -> None:
    assert ladder(1920, 1080, RATE)[-1].codec == "avc1.640028"


@given(st.integers(1, 4096), st.integers(1, 4096), st.sampled_from([24, 30, 60]))
def test_every_rung_is_even_within_the_source_and_within_its_level(
    width: int, height: int, rate: int
) -> None:
    for rung in ladder(width, height, Fraction(rate)):
        assert rung.width % 2 == rung.height % 2 == 0
        assert min(rung.width, rung.height) <= max(2, min(width, height))
        assert max(rung.width, rung.height) <= max(2, max(width, height) + 1)
        macroblocks = -(-rung.width // 16) * -(-rung.height // 16)
        assert macroblocks <= rung.level.max_fs
        assert macroblocks * rate <= rung.level.max_mbps
        assert macroblocks * REFERENCE_FRAMES <= rung.level.max_dpb_mbs
