"""Plans for tests."""

from fractions import Fraction

from reelay.packager.domain.plan import Plan, make_plan
from reelay.packager.domain.source import AudioFacts, SourceFacts, VideoFacts

VERSIONS = {"ffmpeg": "n9.0", "shaka": "v3.8"}


def plan(
    seconds: float = 20,
    *,
    rate: Fraction = Fraction(25),
    size: tuple[int, int] | None = (1280, 720),
    sound: bool = True,
    asset: str = "a" * 64,
) -> Plan:
    """Return the plan of a source as described."""
    end = Fraction(seconds)
    video = (
        VideoFacts(0, "h264", size[0], size[1], rate, end, interlaced=False, hdr=False)
        if size
        else None
    )
    audio = AudioFacts(1, "aac", 48000, 2, end) if sound else None
    return make_plan(asset, SourceFacts("mov", video, audio, 0.5), VERSIONS)
