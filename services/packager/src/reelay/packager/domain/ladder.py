"""The ladder: which sizes a source is offered in, at which rates and H.264 levels."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from reelay.common.errors import PermanentError

RUNGS_BPS = {
    360: 800_000,
    480: 1_400_000,
    720: 2_800_000,
    1080: 5_000_000,
    1440: 9_000_000,
    2160: 16_000_000,
}
"""Short side in pixels → most bits per second at up to 30 frames/s."""

HIGH_RATE_FACTOR = Fraction(3, 2)
"""Above 30 frames/s a rung may use this much more."""

LOWEST_RATE_BPS = 200_000
LONGEST_SIDE = 8192
REFERENCE_FRAMES = 4
"""Decoded picture buffer of the recipe: x264 needs four with its B-frame pyramid."""

HIGH_PROFILE_FACTOR = Fraction(5, 4)
"""cpbBrVclFactor of the High profile ÷ Baseline's (H.264, table A-2)."""


@dataclass(frozen=True)
class Level:
    """One row of H.264 table A-1: macroblocks/s, macroblocks, macroblocks of DPB, kbit/s."""

    name: str
    max_mbps: int
    max_fs: int
    max_dpb_mbs: int
    max_br_kbps: int

    @property
    def idc(self) -> int:
        """`level_idc` as it stands in the SPS."""
        return round(float(self.name) * 10)


LEVELS = (
    Level("1.0", 1485, 99, 396, 64),
    Level("1.1", 3000, 396, 900, 192),
    Level("1.2", 6000, 396, 2376, 384),
    Level("1.3", 11880, 396, 2376, 768),
    Level("2.0", 11880, 396, 2376, 2000),
    Level("2.1", 19800, 792, 4752, 4000),
    Level("2.2", 20250, 1620, 8100, 4000),
    Level("3.0", 40500, 1620, 8100, 10000),
    Level("3.1", 108000, 3600, 18000, 14000),
    Level("3.2", 216000, 5120, 20480, 20000),
    Level("4.0", 245760, 8192, 32768, 20000),
    Level("4.1", 245760, 8192, 32768, 50000),
    Level("4.2", 522240, 8704, 34816, 50000),
    Level("5.0", 589824, 22080, 110400, 135000),
    Level("5.1", 983040, 36864, 184320, 240000),
    Level("5.2", 2073600, 36864, 184320, 240000),
    Level("6.0", 4177920, 139264, 696320, 240000),
    Level("6.1", 8355840, 139264, 696320, 480000),
    Level("6.2", 16711680, 139264, 696320, 800000),
)


class TooLargeError(PermanentError):
    """The picture is too large for any H.264 level."""


@dataclass(frozen=True)
class Rung:
    """One video rendition: even width and height in pixels, most bits per second, level."""

    short_side: int
    width: int
    height: int
    maxrate_bps: int
    level: Level

    @property
    def name(self) -> str:
        """Name of the rendition, after its short side."""
        return f"{self.short_side}p"

    @property
    def codec(self) -> str:
        """RFC 6381 codec string: High profile, no constraints, level."""
        return f"avc1.6400{self.level.idc:02x}"


def ladder(width: int, height: int, rate: Fraction) -> list[Rung]:
    """Return the rungs for a displayed size, lowest first; never above the source.

    `width` and `height` are as shown (rotated, square pixels). A source below the lowest rung
    gets one of its own size. Raises TooLargeError.
    """
    short, long = sorted((width, height))
    if long > LONGEST_SIDE:
        raise TooLargeError(
            f"The picture is {width}x{height}; a side may be {LONGEST_SIDE} pixels at most."
        )
    sides = [side for side in RUNGS_BPS if side <= short]
    if not sides:
        width, height = (max(2, pixels // 2 * 2) for pixels in (width, height))
        return [_rung(min(width, height), width, height, rate)]
    aspect = Fraction(width, height)
    return [
        _rung(side, _even(side * aspect), side, rate)
        if aspect >= 1
        else _rung(side, side, _even(side / aspect), rate)
        for side in sides
    ]


def _rung(side: int, width: int, height: int, rate: Fraction) -> Rung:
    maxrate = _maxrate_bps(side, width * height)
    if rate > 30:
        maxrate = round(maxrate * HIGH_RATE_FACTOR)
    return Rung(side, width, height, maxrate, lowest_level(width, height, rate, maxrate))


def _maxrate_bps(side: int, area: int) -> int:
    if side in RUNGS_BPS:
        return RUNGS_BPS[side]
    share = Fraction(area, 640 * 360)
    return max(LOWEST_RATE_BPS, min(RUNGS_BPS[360], round(RUNGS_BPS[360] * share)))


def _even(pixels: Fraction) -> int:
    return max(2, round(pixels / 2) * 2)


def lowest_level(width: int, height: int, rate: Fraction, maxrate_bps: int) -> Level:
    """Return the lowest level whose limits hold (H.264, A.3.1 and table A-1).

    Raises TooLargeError when none does.
    """
    columns, rows = ceil(width / 16), ceil(height / 16)
    macroblocks = columns * rows
    for level in LEVELS:
        if (
            macroblocks <= level.max_fs
            and max(columns, rows) ** 2 <= 8 * level.max_fs
            and macroblocks * rate <= level.max_mbps
            and macroblocks * REFERENCE_FRAMES <= level.max_dpb_mbs
            and maxrate_bps <= level.max_br_kbps * 1000 * HIGH_PROFILE_FACTOR
        ):
            return level
    raise TooLargeError(f"No H.264 level allows {width}x{height} at {float(rate):.2f} frames/s.")
