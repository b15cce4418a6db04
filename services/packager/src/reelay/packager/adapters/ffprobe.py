"""Asks ffprobe what a source is; a hostile file may name nothing but itself."""

import json
import re
from fractions import Fraction
from typing import Any

from reelay.common.source_input import SourceInput
from reelay.packager.adapters.process import (
    EndlessOutputError,
    ProgramTimeoutError,
    run_program,
)
from reelay.packager.domain.source import (
    AudioFacts,
    SourceFacts,
    UnplayableSourceError,
    VideoFacts,
)

DEMUXERS = (
    "mov", "matroska", "mpegts", "mpeg", "avi", "flv", "ogg", "wav", "w64", "mp3", "aac",
    "flac", "asf", "mxf", "aiff", "amr", "caf",
)  # fmt: skip
"""Containers that are read; none of them can name another file or host."""

INDEXLESS = {"mpegts", "mpeg", "flv", "ogg", "mp3", "aac", "amr"}
"""Containers in which a position cannot be found exactly: rewritten before planning."""

HDR_TRANSFERS = {"smpte2084", "arib-std-b67"}
INTERLACED = {"tt", "bb", "tb", "bt"}
PREROLL_S = 0.5
PROBE_TIMEOUT_S = 60.0
PROBE_CPU_S = 20.0
"""While four compute, which is what hostile files are made for, nothing else is planned."""

ENTRIES = (
    "format=format_name,duration,start_time",
    "stream=index,codec_type,codec_name,codec_long_name,codec_tag_string,width,height,"
    "sample_aspect_ratio,avg_frame_rate,r_frame_rate,field_order,color_transfer,sample_rate,"
    "channels,start_time,duration",
    "stream_disposition=attached_pic",
    "stream_tags=DURATION",
    "stream_side_data=rotation",
)
"""What `facts` uses, and nothing else: a file may have gigabytes of tags."""

ENDLESS = "The file describes its contents at such length that it cannot be read."
TOO_LONG = "Finding out what the file contains takes too long. Upload it as MP4 or Matroska."
REASONS = (
    ("moov atom not found", "The file is damaged or incomplete: its index is missing. "
     "Upload the whole file again."),
    ("not on whitelist", "This is not a video or audio file that can be played."),
    ("Invalid data found", "This is not a video or audio file, or it is damaged."),
    ("End of file", "The file ends before anything can be played from it."),
)  # fmt: skip


class NeedsIndexError(Exception):
    """The source has no usable index or duration; it must be rewritten once, without encoding."""


class FFprobe:
    """Probes sources."""

    def __init__(self, binary: str) -> None:
        self._binary = binary

    async def probe(self, source: SourceInput, *, indexed: bool = False) -> SourceFacts:
        """Return the facts of a source; an `indexed` one was rewritten and is taken as it is.

        Raises UnplayableSourceError with a sentence for a person, also when it takes too long,
        which may be the store's fault (`source.check`), or NeedsIndexError.
        """
        argv = [
            self._binary, "-v", "error", "-print_format", "json",
            "-show_entries", ":".join(ENTRIES), "-format_whitelist", ",".join(DEMUXERS),
            "-protocol_whitelist", source.protocols, source.url,
        ]  # fmt: skip
        try:
            done = await run_program(argv, timeout_s=PROBE_TIMEOUT_S, cpu_s=PROBE_CPU_S)
        except EndlessOutputError as error:
            raise UnplayableSourceError(ENDLESS) from error
        except ProgramTimeoutError as error:
            raise UnplayableSourceError(TOO_LONG) from error
        if done.code != 0:
            raise UnplayableSourceError(_reason(done.stderr))
        return facts(json.loads(done.stdout), indexed=indexed)


def facts(report: dict[str, Any], *, indexed: bool = False) -> SourceFacts:
    """Turn ffprobe's report into facts; raises as FFprobe.probe does."""
    form = report.get("format", {})
    demuxer = str(form.get("format_name", "")).split(",")[0]
    streams = report.get("streams", [])
    video = next((s for s in streams if _is_video(s)), None)
    audio = next((s for s in streams if _is_audio(s)), None)
    if video is None and audio is None:
        raise UnplayableSourceError(_nothing_playable(streams))
    if not indexed and (demuxer in INDEXLESS or "duration" not in form):
        raise NeedsIndexError
    begin = Fraction(form.get("start_time", "0"))
    return SourceFacts(
        demuxer=demuxer,
        video=_video_facts(video, form, begin) if video else None,
        audio=_audio_facts(audio, form, begin) if audio else None,
        seek_preroll_s=PREROLL_S,
    )


def _is_video(stream: dict[str, Any]) -> bool:
    return (
        stream.get("codec_type") == "video"
        and not stream.get("disposition", {}).get("attached_pic")
        and bool(stream.get("width"))
        and stream.get("codec_name", "unknown") not in ("unknown", "none")
    )


def _is_audio(stream: dict[str, Any]) -> bool:
    return (
        stream.get("codec_type") == "audio"
        and bool(stream.get("channels"))
        and int(stream.get("sample_rate", 0)) > 0
        and stream.get("codec_name", "unknown") not in ("unknown", "none")
    )


def _video_facts(stream: dict[str, Any], form: dict[str, Any], begin: Fraction) -> VideoFacts:
    width, height = int(stream["width"]), int(stream["height"])
    aspect = _ratio(stream.get("sample_aspect_ratio", "1:1").replace(":", "/"))
    if aspect > 1:
        width = round(width * aspect)
    elif 0 < aspect < 1:
        height = round(height / aspect)
    if _rotation(stream) % 180 == 90:
        width, height = height, width
    rate = _ratio(stream.get("avg_frame_rate", "0/0")) or _ratio(stream.get("r_frame_rate", "0/0"))
    return VideoFacts(
        stream=int(stream["index"]),
        codec=str(stream["codec_name"]),
        width=width,
        height=height,
        rate=rate or Fraction(30),
        end_s=_end_s(stream, form, begin),
        interlaced=stream.get("field_order") in INTERLACED,
        hdr=stream.get("color_transfer") in HDR_TRANSFERS,
    )


def _audio_facts(stream: dict[str, Any], form: dict[str, Any], begin: Fraction) -> AudioFacts:
    return AudioFacts(
        stream=int(stream["index"]),
        codec=str(stream["codec_name"]),
        rate_hz=int(stream["sample_rate"]),
        channels=int(stream["channels"]),
        end_s=_end_s(stream, form, begin),
    )


def _end_s(stream: dict[str, Any], form: dict[str, Any], begin: Fraction) -> Fraction:
    """Return when a stream ends, counted from the first timestamp of the container."""
    start = Fraction(stream.get("start_time", "0")) - begin
    if "duration" in stream:
        return start + Fraction(stream["duration"])
    tag = stream.get("tags", {}).get("DURATION", "")
    if match := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag):
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds) - begin
    return Fraction(form["duration"]) if "duration" in form else Fraction(0)


def _rotation(stream: dict[str, Any]) -> int:
    for data in stream.get("side_data_list", []):
        if "rotation" in data:
            return round(float(data["rotation"]))
    return 0


def _ratio(text: str) -> Fraction:
    above, _, below = text.partition("/")
    return Fraction(int(above), int(below)) if int(below or 1) else Fraction(0)


def _reason(stderr: str) -> str:
    for sign, reason in REASONS:
        if sign in stderr:
            return reason
    return "The file cannot be read as video or audio."


def _nothing_playable(streams: list[dict[str, Any]]) -> str:
    if not streams:
        return "The file has neither picture nor sound."
    codecs = sorted({s.get("codec_long_name") or s.get("codec_tag_string", "?") for s in streams})
    return f"The file has nothing that can be decoded (found: {', '.join(codecs)})."
