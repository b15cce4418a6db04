"""Whom news concern."""

import pytest

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.news import RECENT_S, News, RecentNews

FILM = "a" * 64
SEGMENT = ContentName(FILM, "video/360p/7.m4s")


@pytest.mark.parametrize(
    ("news", "concerned"),
    [
        (News(FILM), True),
        (News("b" * 64), False),
        (News(FILM, {"360p": [6, 7]}), True),
        (News(FILM, {"360p": []}), True),
        (News(FILM, {"360p": [6, 8]}), False),
        (News(FILM, {"720p": [7]}), False),
        (News(FILM, {"720p": [1], "360p": range(7, 9)}), True),
    ],
    ids=["all", "other", "it", "unknown", "others", "other-rendition", "among"],
)
def test_news_concern_the_segments_that_they_name(news: News, concerned: bool) -> None:
    assert news.concerns(SEGMENT, "360p") is concerned


def test_what_a_rendition_has_beside_its_segments_comes_with_any() -> None:
    news = News(FILM, {"360p": [3]})
    assert news.concerns(ContentName(FILM, "video/360p/init.mp4"), "360p")
    assert news.concerns(ContentName(FILM, "master.m3u8"), None)
    assert not news.concerns(ContentName(FILM, "video/720p/init.mp4"), "720p")


def test_news_are_recent_for_some_seconds() -> None:
    recent = RecentNews()
    recent.note(News(FILM, {"360p": [7]}), 10.0)
    recent.note(News(FILM, {"360p": [8]}), 10.1)
    assert recent.concern(SEGMENT, "360p", 10.0 + RECENT_S)
    assert not recent.concern(SEGMENT, "360p", 10.1 + RECENT_S)
    assert not recent.concern(ContentName(FILM, "video/360p/9.m4s"), "360p", 10.2)
