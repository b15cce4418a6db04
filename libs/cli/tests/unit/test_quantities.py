"""Numbers as people read them."""

import pytest

from reelay.cli.quantities import duration, percent, rate, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.7, "1.0 kB"),
        (1000, "1.0 kB"),
        (1_055_736, "1.1 MB"),
        (999_960, "1.0 MB"),
        (64e9, "64.0 GB"),
        (5e18, "5000.0 PB"),
    ],
)
def test_size_has_the_unit_that_keeps_it_short(count: float, text: str) -> None:
    assert size(count) == text


def test_rate_is_bytes_over_time() -> None:
    assert rate(24_000_000, 2) == "12.0 MB/s"


def test_rate_over_no_time_is_unknown() -> None:
    assert rate(10, 0) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (0.5, "0.5 s"), (59.4, "59 s"), (59.6, "1 min 0 s"),
     (3725, "1 h 2 min"), (90_000, "1 d 1 h")],
)  # fmt: skip
def test_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_hundred_percent_means_all() -> None:
    assert [percent(share) for share in (-1, 0, 0.29, 0.9999, 1, 2)] == [0, 0, 29, 99, 100, 100]
