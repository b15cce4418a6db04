"""Reads what an init segment says of its track (ISO/IEC 14496-12, 8.3 to 8.6 and 8.8.3)."""

from dataclasses import dataclass

from reelay.content_api.domain.fragments import SampleDefaults
from reelay.content_api.domain.mp4_boxes import Box, DamagedSegmentError, children, fields, required

MEDIA_HEADERS = (b"vmhd", b"smhd")


@dataclass(frozen=True, slots=True)
class Track:
    """A track without samples; boxes are kept as they came."""

    timescale: int
    media_time: int | None
    """Where presentation begins, by the edit list; None without one."""
    defaults: SampleDefaults
    look: bytes
    """The end of `tkhd`: layer, group, volume, matrix, width and height (8.3.2), 60 bytes."""
    language: bytes
    """Language and quality (8.4.2), 4 bytes."""
    handler: bytes
    media_header: bytes
    data_information: bytes
    descriptions: bytes


def read_track(init: bytes) -> Track:
    """Return the only track of an init segment; raise DamagedSegmentError for anything else."""
    top = children(init, Box(b"", 0, 0, len(init)))
    moov = children(init, required(top, b"moov"))
    trak = children(init, required(moov, b"trak"))
    mdia = children(init, required(trak, b"mdia"))
    minf = children(init, required(mdia, b"minf"))
    stbl = children(init, required(minf, b"stbl"))
    media_header = next((minf[kind] for kind in MEDIA_HEADERS if kind in minf), None)
    if media_header is None:
        raise DamagedSegmentError
    timescale, language = _media_times(init, required(mdia, b"mdhd"))
    return Track(
        timescale=timescale,
        media_time=_media_time(init, trak.get(b"edts")),
        defaults=_defaults(init, children(init, required(moov, b"mvex"))),
        look=_track_look(init, required(trak, b"tkhd")),
        language=language,
        handler=_bytes(init, required(mdia, b"hdlr")),
        media_header=_bytes(init, media_header),
        data_information=_bytes(init, required(minf, b"dinf")),
        descriptions=_bytes(init, required(stbl, b"stsd")),
    )


def _bytes(init: bytes, found: Box) -> bytes:
    return init[found.start : found.end]


def _media_times(init: bytes, mdhd: Box) -> tuple[int, bytes]:
    (version,) = fields("B", init, mdhd.payload, mdhd.end)
    position = mdhd.payload + (20 if version == 1 else 12)
    (timescale,) = fields("I", init, position, mdhd.end)
    if not timescale or mdhd.end - mdhd.payload < (36 if version == 1 else 24):
        raise DamagedSegmentError
    return timescale, init[mdhd.end - 4 : mdhd.end]


def _track_look(init: bytes, tkhd: Box) -> bytes:
    """See Track.look."""
    if tkhd.end - tkhd.payload < 84:
        raise DamagedSegmentError
    return init[tkhd.end - 60 : tkhd.end]


def _media_time(init: bytes, edts: Box | None) -> int | None:
    """Return the media time of an edit list of one entry (8.6.6)."""
    if edts is None:
        return None
    elst = required(children(init, edts), b"elst")
    version, count = fields("B3xI", init, elst.payload, elst.end)
    form = "Qqhh" if version == 1 else "Iihh"
    _, media_time, rate, fraction = fields(form, init, elst.payload + 8, elst.end)
    if (count, rate, fraction) != (1, 1, 0) or media_time < 0:
        raise DamagedSegmentError
    return media_time


def _defaults(init: bytes, mvex: dict[bytes, Box]) -> SampleDefaults:
    trex = required(mvex, b"trex")
    _, _, duration, size, flags = fields("IIIII", init, trex.payload + 4, trex.end)
    return SampleDefaults(duration, size, flags)
