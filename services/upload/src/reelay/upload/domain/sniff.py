"""Tells what a file is by its first bytes, before anything looks inside it.

Only what is known to be a video or audio container passes. Text and playlists never do: FFmpeg
would follow the names in them to other files and hosts.
"""

import codecs
import re

from reelay.common.identity import PART_SIZE_BYTES
from reelay.upload.domain.errors import NotMediaError

HEAD_BYTES = 4096
"""How many first bytes decide; fewer only when the file is shorter."""

assert HEAD_BYTES <= PART_SIZE_BYTES

ISO_BOXES = frozenset(
    (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"sidx")
)
"""Boxes that ISO base media (ISO/IEC 14496-12) and QuickTime files begin with."""

IMAGE_BRANDS = frozenset(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
) | {b"jp2 ", b"crx "}
"""Major brands of still images in ISO files (ISO/IEC 23008-12, AVIF, JPEG 2000, Canon raw)."""

MEDIA_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (b"FLV\x01", "FLV"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"ID3", "MP3"),
    (b"#!AMR", "AMR"),
    (b"caff", "CAF"),
    (b"\x00\x00\x01\xba", "MPEG program stream"),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "ASF or WMV"),
    (bytes.fromhex("060e2b34020501010d010201"), "MXF"),
)
RIFF_FORMS = {
    b"AVI ": "AVI",
    b"WAVE": "WAV",
}
IFF_FORMS = {b"AIFF": "AIFF", b"AIFC": "AIFF"}

OTHER_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\x00", "a database"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
)

HLS = re.compile(rb"#EXT(M3U|-X-|INF)")
DASH_NAMESPACE = b"urn:mpeg:dash"
BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def recognise(head: bytes) -> str:
    """Return the name of the container that a file with these first bytes is in.

    `head` is `HEAD_BYTES` long unless the file is shorter. Raises NotMediaError with a sentence
    that names what the file looks like instead.
    """
    if found := _playlist(head) or _text(head):
        raise NotMediaError(f"This is {found}, not a video.")
    if container := _container(head):
        return container
    if found := _other(head):
        raise NotMediaError(f"This is {found}, not a video.")
    raise NotMediaError("This is not a video or audio file of a kind that Reelay knows.")


def _playlist(head: bytes) -> str | None:
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    lowered = head.lower()
    if HLS.match(start):
        return "a playlist (.m3u8)"
    if b"<mpd" in lowered and DASH_NAMESPACE in lowered:
        return "a DASH manifest (.mpd)"
    if start.startswith(b"ffconcat"):
        return "a concat script"
    if start[:10].lower() == b"[playlist]":
        return "a playlist (.pls)"
    return None


def _text(head: bytes) -> str | None:
    if head.startswith(BOMS[1:]):
        return "a text file"
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
        return None
    start = text.lstrip("\ufeff \t\r\n")[:500].lower()
    if start.startswith("%pdf-"):
        return "a PDF document"
    if start.startswith(("<!doctype html", "<html")):
        return "a web page"
    if "<svg" in start:
        return "an SVG image"
    if start.startswith("<?xml"):
        return "an XML file"
    if start.startswith("webvtt"):
        return "a subtitle file"
    return "a text file"


def _container(head: bytes) -> str | None:
    kind = head[4:8]
    if kind in ISO_BOXES and not _is_image(head):
        return "MP4 or QuickTime"
    for magic, name in MEDIA_MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return RIFF_FORMS.get(head[8:12])
    if head[:4] == b"FORM":
        return IFF_FORMS.get(head[8:12])
    return _transport_stream(head) or _adts(head) or _mpeg_audio(head)


def _is_image(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in IMAGE_BRANDS


def _transport_stream(head: bytes) -> str | None:
    """Find the sync byte of MPEG-TS (ISO/IEC 13818-1, 2.4.3.2) in every packet of the head.

    Packets have 188 bytes, 192 with the time code of M2TS, 204 with Reed-Solomon parity; a capture
    may begin in the middle of one.
    """
    for packet_bytes in (188, 192, 204):
        for start in range(min(packet_bytes, len(head))):
            syncs = head[start::packet_bytes]
            if len(syncs) >= 3 and syncs.count(0x47) == len(syncs):
                return "MPEG transport stream"
    return None


def _adts(head: bytes) -> str | None:
    """Find two ADTS headers in a row (ISO/IEC 14496-3, 1.A.3.2), or one that fills the file."""

    def length_at(at: int) -> int:
        fits = len(head) >= at + 7 and head[at] == 0xFF and head[at + 1] & 0xF6 == 0xF0
        if not fits or head[at + 2] >> 2 & 0xF > 12:
            return 0
        return (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5

    first = length_at(0)
    return "AAC" if first >= 7 and (first == len(head) or length_at(first) >= 7) else None


MP3_BITRATES_KBPS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MP3_RATES_HZ = (44100, 48000, 32000)


def _mpeg_audio(head: bytes) -> str | None:
    """Find two Layer III headers in a row (ISO/IEC 11172-3, 2.4.1.3; 13818-3 for low rates)."""
    first = _mp3_frame_bytes(head, 0)
    if not first or (first < len(head) and not _mp3_frame_bytes(head, first)):
        return None
    return "MP3"


def _mp3_frame_bytes(head: bytes, at: int) -> int:
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xE6 != 0xE2:
        return 0
    version = head[at + 1] >> 3 & 3
    bitrate_index, rate_index, padding = head[at + 2] >> 4, head[at + 2] >> 2 & 3, head[at + 2] & 2
    if version == 1 or bitrate_index in (0, 15) or rate_index == 3:
        return 0
    mpeg1 = version == 3
    bitrate_bps = MP3_BITRATES_KBPS[1 if mpeg1 else 2][bitrate_index - 1] * 1000
    rate_hz = MP3_RATES_HZ[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if mpeg1 else 72) * bitrate_bps // rate_hz + (1 if padding else 0)


def _other(head: bytes) -> str | None:
    if _is_image(head):
        return "an image"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP image"
    return next((name for magic, name in OTHER_MAGIC if head.startswith(magic)), None)
