"""How the rest of a package is cut into chunks: few, since each begins with decoding for nothing.

A chunk starts an FFmpeg, which decodes from the keyframe before its first frame: with keyframes
every 5 s, chunks of 16 s cost 3 % of a ladder more than chunks of 32 s.
"""

from collections.abc import Mapping

from reelay.common.commands import Lane
from reelay.packager.domain.chunks import (
    AUDIO_COST,
    Chunk,
    decode_cost,
    encode_cost,
    whole,
)
from reelay.packager.domain.plan import Plan
from reelay.packager.domain.timeline import RAMP, STEADY

LEAST_S = 16.0
"""Least of a chunk, if there is as much."""
LEAST_ALONE_S = 8.0
"""The same of the only package that is being made: near its end encoders would have nothing to do,
and what shorter chunks cost more is less than that."""
SHARES = 2
"""Chunks for each of several encoders, when there is little left: whoever is done first, since its
chunk was easy, takes one more. One that is alone makes it in one piece."""
MOST_S = 64.0
MOST_COST = 140.0
"""Most of a chunk that is longer than the least, in seconds of film and of 1080p encoding: 64 s of
a 1080p ladder, so that other packages get their turn and a slow encoder keeps its time limit."""
LOST_S = 3.0
"""Seconds that are decoded for nothing at the start of a chunk, on average."""


def ladder_chunk(
    plan: Plan, taken: Mapping[str, int], focus: int = 1, encoders: int = 1, *, alone: bool = False
) -> Chunk | None:
    """Return the first chunk from segment `focus` on that nobody makes, then from the beginning.

    None when there is none. Its renditions share one provider. Each lacks some of its segments;
    those that it does not lack are made again where that costs less than another chunk. `encoders`
    share what is missing, so that none is left with it alone; `alone` tells that they have nothing
    else to do.
    """
    lacking = {r.name: whole(r) & ~taken.get(r.name, 0) for r in plan.renditions}
    ahead = {name: bits >> (focus - 1) << (focus - 1) for name, bits in lacking.items()}
    missing = ahead if any(ahead.values()) else lacking
    least_s = LEAST_ALONE_S if alone else LEAST_S
    candidates = [
        chunk
        for provider in dict.fromkeys(r.provider for r in plan.renditions)
        if (chunk := _Cut(plan, provider, missing, least_s).chunk(encoders))
    ]
    return min(candidates, key=lambda chunk: chunk.first, default=None)


class _Cut:
    """What is missing of the renditions of one provider."""

    def __init__(
        self, plan: Plan, provider: str, missing: Mapping[str, int], least_s: float
    ) -> None:
        self._provider = provider
        self._least_s = least_s
        self._renditions = [r for r in plan.renditions if r.provider == provider]
        self._missing = missing
        self._decode_cost = decode_cost(plan)

    def chunk(self, encoders: int) -> Chunk | None:
        """Return the earliest chunk."""
        union = 0
        for rendition in self._renditions:
            union |= self._missing[rendition.name]
        if not union:
            return None
        first = (union & -union).bit_length()
        chosen, last = self._lacking(first), first
        again = 0.0  # spent on what is there already
        for number in range(first + 1, first + self._length(first, union >> (first - 1), encoders)):
            lacking = self._lacking(number)
            again += self._encoding(chosen - lacking, number)
            if new := lacking - chosen:
                again += sum(
                    self._encoding(new - self._lacking(n), n) for n in range(first, number)
                )
            if again > LOST_S * self._decode_cost:
                break
            chosen, last = chosen | lacking, number
        names = tuple(r.name for r in self._renditions if r.name in chosen)
        return Chunk(Lane.LADDER, self._provider, names, first, last)

    def _length(self, first: int, missing: int, encoders: int) -> int:
        """Return how many of the lowest bits a chunk takes; a rest under half as long goes along.

        Only bits that are set, without a gap: where nothing is missing, nothing is made. Bit 0 is
        segment `first`. Seconds are shared, not segments: those of the ramp are short.
        """
        run = (~missing & (missing + 1)).bit_length() - 1
        whole_s = _seconds_of(first, run)
        cost = AUDIO_COST + self._decode_cost + sum(map(encode_cost, self._renditions))
        shares = SHARES * encoders if encoders > 1 else 1
        wanted_s = max(self._least_s, min(MOST_S, MOST_COST / cost, whole_s / shares))
        if whole_s < 1.5 * wanted_s:
            return run
        return next(count for count in range(1, run) if _seconds_of(first, count) >= wanted_s)

    def _lacking(self, number: int) -> frozenset[str]:
        return frozenset(
            r.name for r in self._renditions if self._missing[r.name] >> (number - 1) & 1
        )

    def _encoding(self, names: frozenset[str], number: int) -> float:
        """Return what encoding a segment of some renditions costs, in seconds of 1080p encoding.

        A rendition that has ended costs nothing: sound may have one segment less than the picture.
        """
        if not names:
            return 0.0
        return _seconds(number) * sum(
            encode_cost(rendition) or AUDIO_COST
            for rendition in self._renditions
            if rendition.name in names and number <= len(rendition.spans)
        )


def _seconds_of(first: int, count: int) -> int:
    """Return how long so many segments are together, unless the last is among them."""
    ramp = RAMP[first - 1 : first - 1 + count]
    return sum(ramp) + STEADY * (count - len(ramp))


def _seconds(number: int) -> float:
    """Return how long a segment is, unless it is the last."""
    return RAMP[number - 1] if number <= len(RAMP) else STEADY
