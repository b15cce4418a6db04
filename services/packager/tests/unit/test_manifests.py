"""Manifests as players and RFC 8216 / ISO 23009-1 want them."""

import re
from fractions import Fraction
from xml.etree import ElementTree as ET

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.packager.domain.manifests import MASTER, MPD, compose
from reelay.packager.domain.timeline import STANDARD_RATES

from .plans import plan

NS = {"d": "urn:mpeg:dash:schema:mpd:2011"}


def test_master_names_every_rung_with_codecs_size_and_sound() -> None:
    master = m3u8.loads(compose(plan())[MASTER].decode())
    assert [p.stream_info.resolution for p in master.playlists] == [
        (640, 360), (854, 480), (1280, 720),
    ]  # fmt: skip
    assert {p.stream_info.audio for p in master.playlists} == {"audio"}
    assert all(p.stream_info.codecs.endswith(",mp4a.40.2") for p in master.playlists)
    assert [medium.uri for medium in master.media] == ["audio/main/index.m3u8"]
    assert all(p.stream_info.average_bandwidth is None for p in master.playlists)


def test_silent_video_has_no_audio_group() -> None:
    text = compose(plan(sound=False))[MASTER].decode()
    assert "AUDIO" not in text
    assert "mp4a" not in text


def test_audio_alone_is_a_variant_of_its_own() -> None:
    master = m3u8.loads(compose(plan(size=None))[MASTER].decode())
    assert [p.uri for p in master.playlists] == ["audio/main/index.m3u8"]
    assert not master.media


def test_video_offers_no_audio_only_variant() -> None:
    master = m3u8.loads(compose(plan())[MASTER].decode())
    assert all(p.uri.startswith("video/") for p in master.playlists)


def test_bandwidth_covers_the_peak_that_the_buffer_allows() -> None:
    master = m3u8.loads(compose(plan())[MASTER].decode())
    assert master.playlists[0].stream_info.bandwidth == round(1.05 * (1.5 * 800_000 + 128_000))


@given(
    st.sampled_from(STANDARD_RATES),
    st.fractions(Fraction(1, 10), 120, max_denominator=1000),
)
def test_both_manifests_tell_the_same_timeline(rate: Fraction, seconds: Fraction) -> None:
    promise = plan(float(seconds), rate=rate)
    files = compose(promise)
    root = ET.fromstring(files[MPD])
    for rendition in promise.renditions:
        playlist = m3u8.loads(files[rendition.playlist_path].decode())
        template = root.find(f".//d:Representation[@id='{rendition.name}']/d:SegmentTemplate", NS)
        assert template is not None
        scale = int(template.attrib["timescale"])
        lengths = [
            Fraction(int(s.attrib["d"]), scale)
            for s in template.iterfind(".//d:S", NS)
            for _ in range(int(s.attrib.get("r", "0")) + 1)
        ]
        assert len(lengths) == len(playlist.segments) == len(rendition.spans)
        for length, segment in zip(lengths, playlist.segments, strict=True):
            assert abs(float(length) - segment.duration) < 1e-6
            assert round(segment.duration) <= playlist.target_duration
        assert playlist.is_endlist
        assert playlist.playlist_type == "vod"


@pytest.mark.parametrize(("sound", "tracks"), [(True, 2), (False, 1)])
def test_mpd_is_static_and_as_long_as_its_longest_track(sound: bool, tracks: int) -> None:
    root = ET.fromstring(compose(plan(10, sound=sound))[MPD])
    assert root.attrib["type"] == "static"
    assert len(root.findall(".//d:AdaptationSet", NS)) == tracks
    duration = re.fullmatch(r"PT([0-9.]+)S", root.attrib["mediaPresentationDuration"])
    assert duration is not None
    assert 10 <= float(duration.group(1)) < 10 + 1024 / 48000 + 1e-6


def test_all_names_are_relative() -> None:
    for body in compose(plan()).values():
        assert not re.search(rb'(URI="|media="|initialization=")(/|https?:)', body)
