"""How FFmpeg may read a source. Uploaded files are hostile, so it is told exactly what it is."""

from reelay.common.commands import SourceSpec
from reelay.common.errors import PermanentError
from reelay.common.source_input import SourceInput

# fmt: off
DEMUXERS = frozenset({
    "aac", "ac3", "aiff", "amr", "asf", "avi", "caf", "eac3", "flac", "flv", "h264", "hevc", "ivf",
    "m4v", "matroska", "mov", "mp3", "mpeg", "mpegts", "mpegvideo", "mxf", "ogg", "w64", "wav",
})
# fmt: on
"""Formats that hold their own media; none of them names other files or hosts."""


class ForbiddenSourceError(PermanentError):
    """The source has a format that is not decoded, because it may lead to other files."""


class UnplayableTaskError(PermanentError):
    """The task asks for something that no encoder can make."""


def forced_demuxer(source: SourceSpec) -> str:
    """Return the demuxer's first name; raise ForbiddenSourceError unless it is a known one."""
    demuxer = source.demuxer.split(",")[0]
    if demuxer not in DEMUXERS:
        raise ForbiddenSourceError(f"The format {source.demuxer[:50]!r} is not decoded.")
    return demuxer


def input_arguments(source: SourceSpec, place: SourceInput, start_s: float) -> list[str]:
    """Return the arguments of one input that is read from shortly before `start_s`.

    Timestamps stay absolute, counted from the container's start (its earliest stream), so sound
    and picture keep their offset. `-noaccurate_seek` leaves the cut to the filters, which know
    the frame grid. A change of size in the middle must not build the filters anew, as these
    would begin to fill up from their start again.
    """
    seek = ["-noaccurate_seek", "-ss", f"{start_s:.6f}"] if start_s > 0 else []
    return [
        *seek,
        *("-reinit_filter", "0"),
        *("-protocol_whitelist", place.protocols),
        *("-f", forced_demuxer(source)),
        *("-i", place.url),
    ]
