"""Cuts what FFmpeg writes into the planned segments and holds it against the plan."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from reelay.common.commands import SegmentSpec
from reelay.common.errors import TransientError
from reelay.encoder.domain.fragments import Fragment, FragmentReader, make_fragment

AAC_FRAME_SAMPLES = 1024
SILENT_AAC_FRAME = bytes.fromhex("211004608c1c")
"""One AAC-LC stereo frame of silence (a channel pair element without coefficients)."""


class PlanMismatchError(TransientError):
    """A segment came out other than planned."""


@dataclass(frozen=True)
class EncodedSegment:
    """One segment of one rendition as a self-contained fragmented MP4."""

    rendition: str
    spec: SegmentSpec
    data: bytes
    made_first: int
    """First and last segment (both included) that the same FFmpeg made of this rendition: x264's
    rate control carries over, so that another cut gives other bytes."""
    made_last: int
    warnings: tuple[str, ...] = ()


class Cutter(Protocol):
    """Turns the bytes of one FFmpeg output into planned segments."""

    rendition: str

    def feed(self, data: bytes) -> Iterator[EncodedSegment]:
        """Take bytes; yield the segments that they complete. Raises PlanMismatchError."""
        ...

    def finish(self) -> Iterator[EncodedSegment]:
        """Take the end of the output; yield what can still be made of it."""
        ...

    def missing(self) -> Sequence[SegmentSpec]:
        """Return the planned segments that did not come yet."""
        ...


class VideoCutter:
    """Passes fragments on: FFmpeg already begins one at each keyframe."""

    def __init__(self, rendition: str, segments: Sequence[SegmentSpec], fps_den: int) -> None:
        self.rendition = rendition
        self._fps_den = fps_den
        self._remaining = list(segments)
        self._made = (segments[0].number, segments[-1].number)
        self._reader = FragmentReader()

    def feed(self, data: bytes) -> Iterator[EncodedSegment]:
        """See Cutter."""
        for fragment in self._reader.feed(data):
            if not self._remaining:
                raise PlanMismatchError(f"{self.rendition}: more fragments than segments")
            spec = self._remaining[0]
            if self._is_torn(fragment, spec):
                return
            self._check(fragment, spec)
            del self._remaining[0]
            yield EncodedSegment(
                self.rendition, spec, self._reader.init + fragment.data, *self._made
            )

    def finish(self) -> Iterator[EncodedSegment]:
        """See Cutter; there is nothing left."""
        return iter(())

    def missing(self) -> Sequence[SegmentSpec]:
        """See Cutter."""
        return self._remaining

    def _is_torn(self, fragment: Fragment, spec: SegmentSpec) -> bool:
        """Tell whether FFmpeg ended inside a segment, as when the source's other stream fails.

        The segment stays missing, and so do all after it: a shorter fragment is the last.
        """
        begun = fragment.first_tick == spec.first_frame * self._fps_den
        return begun and len(fragment.durations) < spec.frames

    def _check(self, fragment: Fragment, spec: SegmentSpec) -> None:
        planned = (spec.first_frame * self._fps_den, (self._fps_den,) * spec.frames)
        if (fragment.first_tick, fragment.durations) != planned:
            raise PlanMismatchError(
                f"{self.rendition}-{spec.number}: planned {spec.frames} frames of {self._fps_den}"
                f" from {planned[0]}, made {len(fragment.durations)} from {fragment.first_tick},"
                f" durations {sorted(set(fragment.durations))[:5]}"
            )


class AudioCutter:
    """Cuts anew: AAC frames come one by one, and silence follows the last to the planned end."""

    def __init__(self, rendition: str, segments: Sequence[SegmentSpec]) -> None:
        self.rendition = rendition
        self._remaining = list(segments)
        self._made = (segments[0].number, segments[-1].number)
        self._reader = FragmentReader()
        self._frames: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[EncodedSegment]:
        """See Cutter."""
        for fragment in self._reader.feed(data):
            if not self._remaining:
                return
            self._check(fragment)
            self._frames += fragment.samples()
            if len(self._frames) >= self._remaining[0].frames:
                yield self._cut()

    def finish(self) -> Iterator[EncodedSegment]:
        """See Cutter. Without a single byte from FFmpeg there is no init segment, and no end."""
        while self._remaining and self._reader.init:
            lacking = self._remaining[0].frames - len(self._frames)
            self._frames += [SILENT_AAC_FRAME] * lacking
            yield self._cut()

    def missing(self) -> Sequence[SegmentSpec]:
        """See Cutter."""
        return self._remaining

    def _cut(self) -> EncodedSegment:
        spec = self._remaining.pop(0)
        first_tick = spec.first_frame * AAC_FRAME_SAMPLES
        frames, self._frames = self._frames[: spec.frames], self._frames[spec.frames :]
        fragment = make_fragment(spec.number, first_tick, AAC_FRAME_SAMPLES, frames)
        return EncodedSegment(self.rendition, spec, self._reader.init + fragment, *self._made)

    def _check(self, fragment: Fragment) -> None:
        expected = (self._remaining[0].first_frame + len(self._frames)) * AAC_FRAME_SAMPLES
        if fragment.first_tick != expected or len(fragment.durations) != 1:
            raise PlanMismatchError(
                f"{self.rendition}: an AAC frame at {fragment.first_tick}, planned at {expected}"
            )
