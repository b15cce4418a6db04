"""The timeline rule: where segments begin and end, alike on every rendition."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, groupby
from typing import overload

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

    @cached_property
    def frames_per_second(self) -> int:
        """Whole frames that stand for one second of segment length."""
        return max(1, round(self.rate))

    @cached_property
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

    def video(self) -> "Spans":
        """Return the video segments; the last takes the rest."""
        return Spans(self, self._segments)

    def audio(self) -> "Spans":
        """Return the audio segments in AAC frames of 1024 samples at 48 kHz.

        A boundary lies on the first AAC frame at or after the video's. A last video segment
        shorter than an AAC frame may leave nothing for audio: then it has one segment less.
        """
        count = self._segments
        return Spans(self, count - (not self.audio_span(count).frames), is_sound=True)

    def video_span(self, number: int) -> Span:
        """Return a video segment by number."""
        first = self._first_frame(number)
        return Span(number, first, min(self._first_frame(number + 1), self.frames) - first)

    def audio_span(self, number: int) -> Span:
        """Return the audio segment that belongs to a video segment; it may be empty."""
        video = self.video_span(number)
        first = self.audio_boundary(video.first)
        return Span(number, first, self.audio_boundary(video.first + video.frames) - first)

    def audio_boundary(self, frame: int) -> int:
        """Return the AAC frame at which audio is cut for a cut at a video frame."""
        return -(-frame * self.rate.denominator * AUDIO_RATE_HZ
                 // (self.rate.numerator * AAC_FRAME_SAMPLES))  # fmt: skip

    def segment_at(self, time_s: float) -> int:
        """Return the number of the video segment that shows `time_s`."""
        return max(1, bisect_right(self.video(), time_s * self.rate, key=lambda span: span.first))

    @cached_property
    def _segments(self) -> int:
        """Number of video segments."""
        ramp = next((n for n, frames in enumerate(self._ramp_ends) if frames >= self.frames), None)
        if ramp is not None:
            return ramp
        return len(RAMP) + -(-(self.frames - self._ramp_ends[-1]) // self.steady_frames)

    @cached_property
    def _ramp_ends(self) -> list[int]:
        """Frames before the first segment and after each of the ramp."""
        return [n * self.frames_per_second for n in accumulate(RAMP, initial=0)]

    def _first_frame(self, number: int) -> int:
        """Return where a video segment begins, as if there were no end."""
        ramp = self._ramp_ends[:number]
        return ramp[-1] + (number - len(ramp)) * self.steady_frames


@dataclass(frozen=True)
class Spans(Sequence[Span]):
    """All segments of a track, each computed when asked for: films of hours have thousands."""

    timeline: Timeline
    length: int
    is_sound: bool = False

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> list[Span]: ...
    def __getitem__(self, index: int | slice) -> Span | list[Span]:
        span = self.timeline.audio_span if self.is_sound else self.timeline.video_span
        chosen = range(1, self.length + 1)[index]
        return span(chosen) if isinstance(chosen, int) else [span(number) for number in chosen]

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Frames of each segment and how many in a row have so many, from the first on."""
        return [(frames, len(list(run))) for frames, run in groupby(span.frames for span in self)]
