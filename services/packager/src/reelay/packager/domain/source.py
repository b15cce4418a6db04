"""What a probe says of a source, and which sources are refused."""

from dataclasses import dataclass
from fractions import Fraction

from reelay.common.errors import PermanentError


class UnplayableSourceError(PermanentError):
    """No package can be made of this file."""


@dataclass(frozen=True)
class VideoFacts:
    """The video stream: size as shown, in square pixels; measured frames/s; where it ends."""

    stream: int
    codec: str
    width: int
    height: int
    rate: Fraction
    end_s: Fraction
    interlaced: bool
    hdr: bool


@dataclass(frozen=True)
class AudioFacts:
    """The audio stream; `end_s` counted from the container's first timestamp."""

    stream: int
    codec: str
    rate_hz: int
    channels: int
    end_s: Fraction


@dataclass(frozen=True)
class SourceFacts:
    """A source that can be planned."""

    demuxer: str
    video: VideoFacts | None
    audio: AudioFacts | None
    seek_preroll_s: float
    """How far before a position decoding must begin to have its picture exactly."""

    @property
    def duration_s(self) -> Fraction:
        """The planned length: the video's, or the audio's when there is no video."""
        leading = self.video or self.audio
        assert leading is not None
        return leading.end_s


def check_duration(source: SourceFacts, max_duration_s: float) -> None:
    """Raise UnplayableSourceError when a source is longer than this instance accepts."""
    if source.duration_s > max_duration_s:
        raise UnplayableSourceError(
            f"The video lasts {_in_words(float(source.duration_s))}; "
            f"at most {_in_words(max_duration_s)} are accepted here."
        )


def _in_words(duration_s: float) -> str:
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min {seconds:02} s"
