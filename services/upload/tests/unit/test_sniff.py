"""Files are told apart by their first bytes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.upload.domain.errors import NotMediaError
from reelay.upload.domain.sniff import HEAD_BYTES, recognise

BINARY = bytes(range(256)) * 16


def box(kind: bytes, brand: bytes = b"") -> bytes:
    return (len(brand) + 8).to_bytes(4) + kind + brand + BINARY


def packets(packet_bytes: int, sync_at: int, count: int, start: int = 0) -> bytes:
    packet = bytearray(b"\x00" * packet_bytes)
    packet[sync_at] = 0x47
    return bytes(packet * count)[start:]


def adts(payload_bytes: int = 100) -> bytes:
    length = payload_bytes + 7
    header = [
        0xFF,
        0xF1,
        0x50,
        0x80 | length >> 11,
        length >> 3 & 0xFF,
        (length & 7) << 5 | 0x1F,
        0xFC,
    ]
    return bytes(header) + bytes(payload_bytes)


def mp3(padding: int = 0) -> bytes:
    """Return a frame of 128 kbit/s at 44.1 kHz: 417 bytes, 418 when padded."""
    return bytes([0xFF, 0xFB, 0x90 | padding << 1, 0x00]) + bytes(413 + padding)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (box(b"ftyp", b"isom\x00\x00\x02\x00"), "MP4 or QuickTime"),
        (box(b"ftyp", b"qt  \x00\x00\x02\x00"), "MP4 or QuickTime"),
        (box(b"ftyp", b"3gp4\x00\x00\x02\x00"), "MP4 or QuickTime"),
        (box(b"moov"), "MP4 or QuickTime"),
        (box(b"mdat"), "MP4 or QuickTime"),
        (box(b"wide"), "MP4 or QuickTime"),
        (box(b"styp", b"msdh"), "MP4 or QuickTime"),
        (b"\x1aE\xdf\xa3" + BINARY, "Matroska or WebM"),
        (packets(188, 0, 21), "MPEG transport stream"),
        (packets(188, 0, 21, start=77), "MPEG transport stream"),
        (packets(192, 4, 21), "MPEG transport stream"),
        (packets(204, 0, 20), "MPEG transport stream"),
        (packets(188, 0, 3), "MPEG transport stream"),
        (b"\x00\x00\x01\xba\x44" + BINARY, "MPEG program stream"),
        (b"RIFF\x00\x10\x00\x00AVI LIST" + BINARY, "AVI"),
        (b"RIFF\x00\x10\x00\x00WAVEfmt " + BINARY, "WAV"),
        (b"RF64\xff\xff\xff\xffWAVEds64" + BINARY, "WAV"),
        (b"FLV\x01\x05\x00\x00\x00\x09" + BINARY, "FLV"),
        (b"OggS\x00\x02" + BINARY, "Ogg"),
        (b"fLaC\x00\x00\x00\x22" + BINARY, "FLAC"),
        (b"ID3\x04\x00\x00\x00\x00\x02\x01" + BINARY, "MP3"),
        (mp3() + mp3(1), "MP3"),
        (mp3(1) + mp3(), "MP3"),
        (mp3(), "MP3"),
        (adts() * 3, "AAC"),
        (adts(), "AAC"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + BINARY, "ASF or WMV"),
        (bytes.fromhex("060e2b34020501010d0102010102") + BINARY, "MXF"),
        (b"FORM\x00\x00\x10\x00AIFFCOMM" + BINARY, "AIFF"),
        (b"#!AMR\n\x3c\x00\x01" + BINARY, "AMR"),
        (b"caff\x00\x01\x00\x00desc" + BINARY, "CAF"),
    ],
)
def test_containers_are_recognised(head: bytes, name: str) -> None:
    assert recognise(head[:HEAD_BYTES]) == name


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "a playlist (.m3u8)"),
        (b"\xef\xbb\xbf \r\n#EXTM3U\n", "a playlist (.m3u8)"),
        (b"#EXTM3U\n\x00\xff" + BINARY, "a playlist (.m3u8)"),
        (
            b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">',
            "a DASH manifest (.mpd)",
        ),
        (
            box(b"ftyp")[:99] + b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">',
            "a DASH manifest (.mpd)",
        ),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a concat script"),
        (b"[playlist]\nFile1=http://x\n", "a playlist (.pls)"),
        (b"Just some words.", "a text file"),
        ("Gr\u00fc\u00dfe, \u043f\u0440\u0438\u0432\u0435\u0442".encode(), "a text file"),
        ("Gr\u00fc\u00dfe".encode("utf-16"), "a text file"),
        (("G" + "x" * 187).encode() * 20, "a text file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b'<?xml version="1.0"?><smil/>', "an XML file"),
        (b"WEBVTT\n\n00:00", "a subtitle file"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + BINARY, "a PDF document"),
        (b"PK\x03\x04\x14\x00" + BINARY, "a ZIP archive or office document"),
        (b"\x89PNG\r\n\x1a\n" + BINARY, "a PNG image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + BINARY, "a JPEG image"),
        (box(b"ftyp", b"heic\x00\x00\x00\x00"), "an image"),
        (box(b"ftyp", b"avif\x00\x00\x00\x00"), "an image"),
        (b"RIFF\x00\x10\x00\x00WEBPVP8 " + BINARY, "a WebP image"),
        (b"\x7fELF\x02\x01" + BINARY, "a program"),
    ],
)
def test_everything_else_is_refused_by_name(head: bytes, what: str) -> None:
    with pytest.raises(NotMediaError) as refusal:
        recognise(head[:HEAD_BYTES])
    assert refusal.value.detail == f"This is {what}, not a video."


def test_unknown_bytes_are_refused() -> None:
    with pytest.raises(NotMediaError, match="of a kind that Reelay knows"):
        recognise(BINARY)


@given(st.text(min_size=1))
def test_text_never_passes(text: str) -> None:
    printable = "".join(char for char in text if char.isprintable() or char in "\n\r\t") or "x"
    with pytest.raises(NotMediaError):
        recognise(printable.encode()[:HEAD_BYTES])


@given(st.binary(max_size=HEAD_BYTES))
def test_playlist_with_any_continuation_never_passes(rest: bytes) -> None:
    with pytest.raises(NotMediaError, match="playlist"):
        recognise((b"#EXTM3U\n" + rest)[:HEAD_BYTES])


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_are_either_a_container_or_refused(head: bytes) -> None:
    with suppress(NotMediaError):
        assert recognise(head)
