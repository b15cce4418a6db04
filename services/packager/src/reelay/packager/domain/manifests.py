"""Complete, final HLS playlists and MPD, composed from the plan alone.

Sources: RFC 8216 (HLS), ISO/IEC 23009-1:2022 (DASH), DASH-IF IOP 4.3 sections 3.2 and 6.2.
"""

import itertools
from fractions import Fraction
from math import ceil
from xml.etree import ElementTree as ET

from reelay.packager.domain.plan import AUDIO_BITRATE_BPS, AUDIO_CODEC, Plan, Rendition
from reelay.packager.domain.timeline import AAC_FRAME_SAMPLES, AUDIO_RATE_HZ, STEADY

MASTER = "master.m3u8"
MPD = "manifest.mpd"
VBV_PEAK = Fraction(3, 2)
"""A one-second segment may hold maxrate plus the half-full buffer that it starts with."""
OVERHEAD = Fraction(21, 20)
"""Boxes of the container around the coded bits."""


def compose(plan: Plan) -> dict[str, bytes]:
    """Return all manifests of a package: path relative to the package → bytes."""
    manifests = {r.playlist_path: media_playlist(plan, r) for r in plan.renditions}
    manifests[MASTER] = master_playlist(plan)
    manifests[MPD] = mpd(plan)
    return manifests


def bandwidth_bps(plan: Plan, rendition: Rendition) -> int:
    """Return the declared peak of one rendition alone, in bits per second."""
    if rendition.rung is None:
        return ceil(OVERHEAD * AUDIO_BITRATE_BPS * Fraction(11, 10))
    return ceil(OVERHEAD * VBV_PEAK * rendition.rung.maxrate_bps)


def variant_bandwidth_bps(plan: Plan, rendition: Rendition) -> int:
    """Return `BANDWIDTH` of a variant, audio included (RFC 8216, section 4.3.4.2)."""
    audio = AUDIO_BITRATE_BPS if plan.audio_rendition else 0
    assert rendition.rung is not None
    return ceil(OVERHEAD * (VBV_PEAK * rendition.rung.maxrate_bps + audio))


def master_playlist(plan: Plan) -> bytes:
    """Return the multivariant playlist."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", ""]
    audio = plan.audio_rendition
    if audio and plan.rungs:
        lines += [
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Sound",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="2",URI="{audio.playlist_path}"',
            "",
        ]
    for rendition in plan.video_renditions:
        lines += [_stream_inf(plan, rendition), rendition.playlist_path]
    if audio and not plan.rungs:
        lines += [
            f'#EXT-X-STREAM-INF:BANDWIDTH={bandwidth_bps(plan, audio)},CODECS="{AUDIO_CODEC}"',
            audio.playlist_path,
        ]
    return _text(lines)


def _stream_inf(plan: Plan, rendition: Rendition) -> str:
    rung = rendition.rung
    assert rung is not None
    codecs = rung.codec + (f",{AUDIO_CODEC}" if plan.audio_rendition else "")
    group = ',AUDIO="audio"' if plan.audio_rendition else ""
    return (
        f"#EXT-X-STREAM-INF:BANDWIDTH={variant_bandwidth_bps(plan, rendition)},"
        f'CODECS="{codecs}",RESOLUTION={rung.width}x{rung.height},'
        f"FRAME-RATE={float(plan.timeline.rate):.3f}{group}"
    )


def media_playlist(plan: Plan, rendition: Rendition) -> bytes:
    """Return the VOD media playlist of one rendition."""
    unit_s = tick_s(plan, rendition)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(STEADY, plan.timeline.target_duration_s)}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        '#EXT-X-MAP:URI="init.mp4"',
    ]
    numbers = itertools.count(1)
    for frames, count in rendition.spans.runs:
        length = f"#EXTINF:{float(frames * unit_s):.6f},"
        for number in itertools.islice(numbers, count):
            lines += [length, f"{number}.m4s"]
    return _text([*lines, "#EXT-X-ENDLIST"])


def tick_s(plan: Plan, rendition: Rendition) -> Fraction:
    """Return the length of one frame of a rendition in seconds."""
    if rendition.rung is None:
        return Fraction(AAC_FRAME_SAMPLES, AUDIO_RATE_HZ)
    return 1 / plan.timeline.rate


def mpd(plan: Plan) -> bytes:
    """Return the static MPD with exact segment timelines."""
    root = ET.Element(
        "MPD",
        {
            "xmlns": "urn:mpeg:dash:schema:mpd:2011",
            "profiles": "urn:mpeg:dash:profile:isoff-live:2011",
            "type": "static",
            "minBufferTime": f"PT{STEADY}S",
            "mediaPresentationDuration": _duration(_presentation_s(plan)),
        },
    )
    period = ET.SubElement(root, "Period", {"id": "0", "start": "PT0S"})
    if plan.video_renditions:
        _adaptation_set(plan, period, plan.video_renditions)
    if plan.audio_rendition:
        _adaptation_set(plan, period, (plan.audio_rendition,))
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root) + b"\n"


def _presentation_s(plan: Plan) -> Fraction:
    """The longest track: audio ends at most one AAC frame after the video."""
    return max((r.spans[-1].first + r.spans[-1].frames) * tick_s(plan, r) for r in plan.renditions)


def _adaptation_set(plan: Plan, period: ET.Element, renditions: tuple[Rendition, ...]) -> None:
    first = renditions[0]
    attributes = {
        "id": "0" if first.kind == "video" else "1",
        "contentType": first.kind,
        "mimeType": f"{first.kind}/mp4",
        "segmentAlignment": "true",
        "startWithSAP": "1",
    }
    if first.rung is not None:
        rate = plan.timeline.rate
        attributes["frameRate"] = (
            str(rate.numerator) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"
        )
    adaptation = ET.SubElement(period, "AdaptationSet", attributes)
    if first.kind == "video":
        ET.SubElement(adaptation, "Role", _role("main"))
    for rendition in renditions:
        _representation(plan, adaptation, rendition)


def _role(value: str) -> dict[str, str]:
    return {"schemeIdUri": "urn:mpeg:dash:role:2011", "value": value}


def _representation(plan: Plan, adaptation: ET.Element, rendition: Rendition) -> None:
    rung = rendition.rung
    attributes = {"id": rendition.name, "bandwidth": str(bandwidth_bps(plan, rendition))}
    if rung is None:
        attributes |= {"codecs": AUDIO_CODEC, "audioSamplingRate": str(AUDIO_RATE_HZ)}
    else:
        attributes |= {
            "codecs": rung.codec,
            "width": str(rung.width),
            "height": str(rung.height),
            "sar": "1:1",
        }
    representation = ET.SubElement(adaptation, "Representation", attributes)
    if rung is None:
        ET.SubElement(
            representation,
            "AudioChannelConfiguration",
            {
                "schemeIdUri": "urn:mpeg:dash:23003:3:audio_channel_configuration:2011",
                "value": "2",
            },
        )
    _segment_template(plan, representation, rendition)


def timescale(plan: Plan, rendition: Rendition) -> int:
    """Return the track's timescale: the numerator of the frame rate, or the sampling rate."""
    return AUDIO_RATE_HZ if rendition.rung is None else plan.timeline.rate.numerator


def frame_ticks(plan: Plan, rendition: Rendition) -> int:
    """Return the length of one frame in the track's timescale."""
    return AAC_FRAME_SAMPLES if rendition.rung is None else plan.timeline.rate.denominator


def _segment_template(plan: Plan, parent: ET.Element, rendition: Rendition) -> None:
    template = ET.SubElement(
        parent,
        "SegmentTemplate",
        {
            "timescale": str(timescale(plan, rendition)),
            "initialization": rendition.init_path,
            "media": f"{rendition.path}/$Number$.m4s",
            "startNumber": "1",
        },
    )
    timeline = ET.SubElement(template, "SegmentTimeline")
    ticks = frame_ticks(plan, rendition)
    for index, (frames, count) in enumerate(rendition.spans.runs):
        attributes = {"t": "0"} if index == 0 else {}
        attributes["d"] = str(frames * ticks)
        if count > 1:
            attributes["r"] = str(count - 1)
        ET.SubElement(timeline, "S", attributes)


def _duration(seconds: Fraction) -> str:
    """Return an xs:duration, rounded up to the microsecond."""
    micros = ceil(seconds * 1_000_000)
    return f"PT{micros // 1_000_000}.{micros % 1_000_000:06d}S"


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
