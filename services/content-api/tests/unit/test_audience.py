"""Where viewers are, for those who ask, and for nobody else."""

import pytest

from reelay.content_api.domain.names import ContentName
from reelay.content_api.handlers.audience import (
    ASKED_S,
    MAX_VIEWERS,
    SEEN_S,
    TOLD_S,
    Audience,
)

PACKAGE, OTHER = "ab" * 32, "cd" * 32


class House:
    """An audience and its clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.audience = Audience(now=lambda: self.now)

    def send(self, path: str, viewer: str = "me", package: str = PACKAGE) -> None:
        name = ContentName(package, path)
        if self.audience.concerns(name):
            self.audience.note(name, viewer)

    def seen(self, package: str = PACKAGE) -> dict[str, tuple[str, float]]:
        """Ask, and return paths and times since then by viewer."""
        return {one.viewer: (one.path, one.ago_s) for one in self.audience.ask(package)}


@pytest.fixture
def house() -> House:
    """A house of which nobody asked anything."""
    return House()


def test_nothing_is_kept_of_what_nobody_asks_for(house: House) -> None:
    house.send("video/360p/1.m4s")
    assert not house.audience.is_asked
    assert house.seen() == {}
    house.send("video/360p/2.m4s", package=OTHER)
    assert house.seen(OTHER) == {}


def test_last_segment_of_each_viewer_is_told(house: House) -> None:
    house.seen()
    house.send("video/360p/1.m4s")
    house.send("video/720p/9.m4s", "you")
    house.now += 2
    house.send("video/360p/2.m4s")
    assert house.seen() == {"you": ("video/720p/9.m4s", 2.0), "me": ("video/360p/2.m4s", 0.0)}


@pytest.mark.parametrize("path", ["master.m3u8", "video/360p/init.mp4", "video/360p/media.m3u8"])
def test_what_players_fetch_beside_segments_tells_nothing(house: House, path: str) -> None:
    house.seen()
    house.send(path)
    assert house.seen() == {}


def test_sound_tells_where_somebody_is_who_fetches_no_pictures(house: House) -> None:
    house.seen()
    house.send("audio/main/1.m4s")
    house.send("audio/main/2.m4s")
    assert house.seen()["me"][0] == "audio/main/2.m4s"
    house.now += TOLD_S
    house.send("video/360p/1.m4s")
    house.send("audio/main/3.m4s")
    assert house.seen()["me"][0] == "video/360p/1.m4s"
    for _ in range(3):
        house.now += SEEN_S / 2.5
        house.send("audio/main/4.m4s")
    assert house.seen()["me"][0] == "audio/main/4.m4s"


def test_viewer_who_fetches_nothing_for_long_is_gone(house: House) -> None:
    house.seen()
    house.send("video/360p/1.m4s")
    for _ in range(4):
        house.now += SEEN_S / 4
        seen = house.seen()
    assert seen == {}


def test_nothing_is_kept_when_nobody_asks_any_more(house: House) -> None:
    house.seen()
    house.send("video/360p/1.m4s")
    house.now += ASKED_S - 0.1
    house.audience.forget()
    assert house.audience.is_asked
    house.now += 0.2
    house.audience.forget()
    assert not house.audience.is_asked
    house.send("video/360p/2.m4s")
    assert house.seen() == {}


def test_many_who_ask_are_told_together(house: House) -> None:
    house.seen()
    house.send("video/360p/1.m4s")
    house.now += TOLD_S
    assert house.seen()
    assert house.seen() == {}
    house.now += TOLD_S
    assert house.seen()


def test_of_too_many_viewers_those_seen_last_are_kept(house: House) -> None:
    house.seen()
    for number in range(MAX_VIEWERS + 2):
        house.send("video/360p/1.m4s", str(number))
    house.send("video/360p/2.m4s", "2")
    house.send("video/360p/1.m4s", "new")
    seen = house.seen()
    assert len(seen) == MAX_VIEWERS
    assert seen.keys() & {"0", "1", "2", "3", "new"} == {"2", "new"}
