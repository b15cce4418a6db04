"""The timeline rule: where segments begin and end, alike on every rendition."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

AUDIO_RATE_HZ = 48_000
AAC_FRAME_SAMPLES = 1024
MIN_DURATION_S = Fraction(1, 2)
RAMP = (1, 1, 2)
"""Lengths of the first segments, in seconds; `STEADY` for all others but the last."""
STEADY = 4

STANDARD_RATES = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(48),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)


def snap_rate(average: Fraction) -> Fraction:
    """Return the standard frame rate nearest to a measured average, in frames/s."""
    return min(STANDARD_RATES, key=lambda rate: abs(rate - average))


@dataclass(frozen=True)
class Span:
    """One segment: `frames` frames from frame `first`; video frames or AAC frames."""

    number: int
    first: int
    frames: int


@dataclass(frozen=True)
class Timeline:
    """The planned frames of a package.

    `rate` in frames/s; `frames` is the planned length. Without video it is the grid on which audio
    is cut.
    """

    rate: Fraction
    frames: int

    @classmethod
    def of_duration(cls, rate: Fraction, duration_s: Fraction) -> "Timeline":
        """Return the timeline of a source; one shorter than 0.5 s is held to that length."""
        return cls(rate, max(1, round(max(duration_s, MIN_DURATION_S) * rate)))

    @property
    def frames_per_second(self) -> int:
        """Whole frames that stand for one second of segment length."""
        return max(1, round(self.rate))

    @property
    def steady_frames(self) -> int:
        """Frames of all segments after the ramp; also the GOP size option."""
        return STEADY * self.frames_per_second

    @property
    def duration_s(self) -> Fraction:
        """Planned length in seconds."""
        return self.frames / self.rate

    @property
    def target_duration_s(self) -> int:
        """`EXT-X-TARGETDURATION` (RFC 8216, section 4.3.3.1)."""
        return round(self.steady_frames / self.rate)

    def video(self) -> list[Span]:
        """Return the video segments; the last takes the rest."""
        return [
            Span(number, first, min(length, self.frames - first))
            for number, (first, length) in enumerate(self._cuts(), 1)
        ]

    def audio(self) -> list[Span]:
        """Return the audio segments in AAC frames of 1024 samples at 48 kHz.

        A boundary lies on the first AAC frame at or after the video's. A last video segment
        shorter than an AAC frame may leave nothing for audio: then it has one segment less.
        """
        spans = [
            (self.audio_boundary(span.first), self.audio_boundary(span.first + span.frames))
            for span in self.video()
        ]
        return [
            Span(number, first, end - first)
            for number, (first, end) in enumerate(spans, 1)
            if end > first
        ]

    def audio_boundary(self, frame: int) -> int:
        """Return the AAC frame at which audio is cut for a cut at a video frame."""
        return -(-frame * self.rate.denominator * AUDIO_RATE_HZ
                 // (self.rate.numerator * AAC_FRAME_SAMPLES))  # fmt: skip

    def segment_at(self, time_s: float) -> int:
        """Return the number of the video segment that shows `time_s`."""
        frame = time_s * self.rate
        return next((s.number for s in reversed(self.video()) if s.first <= frame), 1)

    def _cuts(self) -> Iterator[tuple[int, int]]:
        first = 0
        ramp = iter(RAMP)
        while first < self.frames:
            length = next(ramp, STEADY) * self.frames_per_second
            yield first, length
            first += length
