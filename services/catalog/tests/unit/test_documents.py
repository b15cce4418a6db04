"""What clients may send, and what they receive."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reelay.catalog.videos.documents import VideoDocument, VideoDraft, VideoEdit
from reelay.catalog.videos.tables import VideoRow
from reelay.common.identity import new_id


def row(**more: Any) -> VideoRow:
    now = datetime.now(UTC)
    return VideoRow(id=new_id(), owner_id="ann", title="A", created_at=now, updated_at=now, **more)


@pytest.mark.parametrize(
    "title", ["a", "x" * 200, "  padded  ", "Größe 🎬", "👨‍👩‍👧", "a'; DROP TABLE videos;--", "<b>"]
)
def test_titles_of_people_are_taken(title: str) -> None:
    assert VideoDraft(title=title).title == title.strip()


@pytest.mark.parametrize(
    "title", ["", "   ", "x" * 201, "a\x00", "a\nb", "a\tb", "\x1b[31m", "a\x85b", "a\u2028b", 5]
)
def test_titles_that_are_no_line_of_text_are_refused(title: Any) -> None:
    with pytest.raises(ValidationError):
        VideoDraft(title=title)


@given(st.text())
def test_every_title_is_taken_trimmed_or_refused(title: str) -> None:
    try:
        taken = VideoDraft(title=title).title
    except ValidationError:
        return
    assert taken == title.strip()
    assert 1 <= len(taken) <= 200
    assert not {unicodedata.category(char) for char in taken} & {"Cc", "Zl", "Zp"}


def test_description_keeps_its_lines_and_has_no_controls() -> None:
    assert VideoDraft(title="a", description="b\r\nc\td").description == "b\nc\td"
    for bad in ("\x00", "\x07", "x" * 10_001):
        with pytest.raises(ValidationError):
            VideoDraft(title="a", description=bad)


def test_edit_changes_only_what_was_sent() -> None:
    assert VideoEdit.model_validate({"title": " b "}).changes() == {"title": "b"}
    assert VideoEdit.model_validate({}).changes() == {}
    with pytest.raises(ValidationError):
        VideoEdit.model_validate({"title": None})


def test_playback_is_shown_from_the_plan_on() -> None:
    assert VideoDocument.of(row()).playback is None
    playback = VideoDocument.of(row(state="planned", package_id="p")).playback
    assert playback is not None
    assert playback.hls == "/api/v1/content/p/master.m3u8"
    assert playback.dash == "/api/v1/content/p/manifest.mpd"
    assert VideoDocument.of(row(state="failed", package_id="p", reason="No.")).playback is None


def test_downloads_are_offered_when_all_is_there() -> None:
    some = {name: {"stored": 1, "total": 1} for name in ("360p", "480p", "audio")}
    for renditions, names in [(some, ["360p", "480p"]), ({"audio": some["audio"]}, ["audio"])]:
        whole = VideoDocument.of(row(state="ready", package_id="p", renditions=renditions)).playback
        part = VideoDocument.of(row(state="playable", package_id="p", renditions=some)).playback
        assert whole is not None
        assert part is not None
        assert part.downloads == []
        assert [download.rendition for download in whole.downloads] == names
        first = whole.downloads[0]
        assert first.path == f"/api/v1/content/p/downloads/{names[0]}.mp4"
        assert first.hls == f"/api/v1/content/p/downloads/{names[0]}.m3u8"


def test_progress_is_a_fraction() -> None:
    assert VideoDocument.of(row()).progress == 0
    assert VideoDocument.of(row(segments_stored=1, segments_total=4)).progress == 0.25
    assert VideoDocument.of(row(segments_stored=5, segments_total=4)).progress == 1
    assert VideoDocument.of(row(state="ready")).progress == 1
