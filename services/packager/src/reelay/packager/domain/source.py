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
