"""Playlists of byte ranges say the same as the package's own."""

import m3u8
import pytest

from reelay.content_api.domain.byte_playlists import (
    DamagedPlaylistError,
    master_playlist,
    media_playlist,
)
from reelay.content_api.domain.download_names import DownloadName, Kind, parse_download
from reelay.content_api.domain.ranges import ByteRange

from ..segments import film, package

OBJECTS = {path: data for path, data in package(film()).items() if path.endswith("m3u8")}
OWN = OBJECTS["video/360p/index.m3u8"].decode()
MASTER = OBJECTS["master.m3u8"].decode()
PLACES = [ByteRange(10 * n, 10 * n + n + 1) for n in range(5)]


def test_segments_become_ranges_of_one_file() -> None:
    playlist = m3u8.loads(media_playlist(OWN, "../360p.mp4", PLACES).decode())
    own = m3u8.loads(OWN)
    assert [s.duration for s in playlist.segments] == [s.duration for s in own.segments]
    assert playlist.is_endlist
    assert playlist.target_duration == own.target_duration
    assert [s.byterange for s in playlist.segments] == ["2@10", "3@20", "4@30", "5@40"]
    assert {s.uri for s in playlist.segments} == {"../360p.mp4"}
    assert (playlist.segment_map[0].uri, playlist.segment_map[0].byterange) == (
        "../360p.mp4", "1@0",
    )  # fmt: skip


@pytest.mark.parametrize("places", [PLACES[:-1], [*PLACES, ByteRange(99, 100)], []])
def test_playlist_with_other_segments_than_the_file_is_refused(places: list[ByteRange]) -> None:
    with pytest.raises(DamagedPlaylistError):
        media_playlist(OWN, "../360p.mp4", places)


def test_master_has_the_one_variant_and_its_sound() -> None:
    content = master_playlist(MASTER, "video/480p/index.m3u8", "480p/video.m3u8", "480p/audio.m3u8")
    assert content
    made, own = m3u8.loads(content.decode()), m3u8.loads(MASTER)
    (variant,) = made.playlists
    assert variant.uri == "480p/video.m3u8"
    assert str(variant.stream_info) == str(own.playlists[1].stream_info)
    (sound,) = made.media
    assert (sound.uri, sound.group_id) == ("480p/audio.m3u8", variant.stream_info.audio)


def test_master_has_nothing_for_a_rendition_that_is_no_variant() -> None:
    assert master_playlist(MASTER, "audio/main/index.m3u8", "audio/audio.m3u8", None) is None


def test_master_without_the_line_before_a_variant_is_refused() -> None:
    with pytest.raises(DamagedPlaylistError):
        master_playlist("video/360p/index.m3u8", "video/360p/index.m3u8", "x", None)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("downloads/360p.mp4", DownloadName("360p", Kind.FILE)),
        ("downloads/360p.m3u8", DownloadName("360p", Kind.MASTER)),
        ("downloads/a.b/video.m3u8", DownloadName("a.b", Kind.VIDEO_PLAYLIST)),
        ("downloads/360p/audio.m3u8", DownloadName("360p", Kind.AUDIO_PLAYLIST)),
        ("downloads/.mp4", None),
        ("downloads/360p", None),
        ("downloads/360p/1.m4s", None),
        ("downloads/../360p.mp4", None),
        ("downloads/360p.mp4/video.m3u8/x", None),
        ("video/360p.mp4", None),
        ("downloads/36\n0p.mp4", None),
    ],
)
def test_names_of_downloads(path: str, name: DownloadName | None) -> None:
    assert parse_download(path) == name
    if name is not None:
        assert name.path == path
