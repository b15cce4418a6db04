"""Where viewers are on a map: who waits, who watches, and how many they are."""

from reelay.cli.watch_seen import Seen
from reelay.cli.watch_waiting import Waiting

from ..watch_samples import COMPLETED, demand, hear, seen, stored, withdrawn


def test_viewers_wait_as_long_as_a_request_may() -> None:
    known = hear((demand("video/720p/4.m4s"), 10), (demand("audio/main/2.m4s"), 3), now=11)
    assert [(v.rendition, v.number, v.position_s) for v in known.viewers] == [("720p", 4, 4.0)]


def test_nobody_waits_for_what_is_stored() -> None:
    asked = (demand("video/720p/4.m4s"), 10.0)
    assert hear(asked, (stored(("720p", 1, 3), ("720p", 5, 6)), 1), now=10).viewers
    assert not hear(asked, (stored(("720p", 4, 4)), 1), now=10).viewers
    assert not hear(asked, (COMPLETED, 1), now=10).viewers


def test_viewers_of_one_segment_are_counted_each_once() -> None:
    known = hear(
        *((demand("video/720p/4.m4s", viewer), 9.0) for viewer in ("one", "two", "two")),
        (demand("video/720p/4.m4s", "one", "elsewhere"), 9.0),
        (demand("video/360p/init.mp4", "three"), 9.0),
        (demand("video/360p/1.m4s", "four"), 9.0),
        (stored(("720p", 1, 3)), 1),
        now=10,
    )
    assert [(v.rendition, v.number, v.count) for v in known.viewers] == [
        ("360p", 1, 2),
        ("720p", 4, 2),
    ]


def test_viewer_who_left_waits_no_more_where_it_left() -> None:
    path = "video/720p/4.m4s"
    heard = [(demand(path, "one", "here"), 9.0), (demand(path, "one", "there"), 9.0)]
    assert hear(*heard, (withdrawn(path, "one", "here"), 9.5), now=10).viewers
    gone = [*heard, (withdrawn(path, "one", "here"), 9.5), (withdrawn(path, "one", "there"), 9.5)]
    assert not hear(*gone, now=10).viewers
    assert hear(*gone, (demand(path, "one", "here"), 9.8), now=10).viewers


def test_viewer_of_an_init_segment_waits_for_any_segment() -> None:
    asked = (demand("video/360p/init.mp4"), 10.0)
    known = hear(asked, (stored(("720p", 1, 2)), 1), now=10)
    assert [(v.number, v.position_s) for v in known.viewers] == [(1, 0.0)]
    assert not hear(asked, (stored(("360p", 3, 3)), 1), now=10).viewers


def test_demand_for_what_was_never_promised_is_no_viewer() -> None:
    paths = ("video/720p/7.m4s", "video/144p/1.m4s", "master.m3u8", "video/720p/index.m3u8", "")
    known = hear(*((demand(path), 1.0) for path in paths), now=1)
    assert (known.viewers, known.news) == ((), ())


def test_viewers_are_where_they_were_seen_last_for_ten_seconds() -> None:
    heard = [
        (seen(("one", "video/720p/1.m4s", 3.0), ("two", "audio/main/2.m4s", 0.5)), 9.0),
        (seen(("one", "video/720p/3.m4s", 0.5)), 9.0),
        (seen(("one", "video/720p/2.m4s", 2.0)), 9.5),
    ]

    def at(now: float) -> list[tuple[str, int, bool]]:
        return [(v.rendition, v.number, v.waits) for v in hear(*heard, now=now).viewers]

    assert at(10) == [("audio", 2, False), ("720p", 3, False)]
    assert at(18.4) == at(10)
    assert at(18.5) == []


def test_viewers_at_one_segment_are_counted_and_who_waits_elsewhere_is_none_of_them() -> None:
    path = "video/720p/3.m4s"
    known = hear(
        (seen(*((name, path, 0.5) for name in ("one", "two", "three"))), 9.0),
        (demand("video/720p/4.m4s", "two", "here"), 9.5),
        now=10,
    )
    assert [(v.number, v.count, v.waits) for v in known.viewers] == [(3, 2, False), (4, 1, True)]


def test_sound_tells_where_somebody_is_without_pictures_whoever_sends_them() -> None:
    heard = [
        (seen(("one", "video/720p/3.m4s", 0.5)), 9.0),
        (seen(("one", "audio/main/5.m4s", 0.1), ("two", "audio/main/5.m4s", 0.1)), 9.5),
        (seen(("one", "audio/main/6.m4s", 0.0)), 17.0),
    ]
    at_9 = [(v.rendition, v.number, v.count) for v in hear(*heard[:2], now=9.6).viewers]
    assert at_9 == [("720p", 3, 1), ("audio", 5, 1)]
    at_19 = [(v.rendition, v.number) for v in hear(*heard, now=19.0).viewers]
    assert at_19 == [("audio", 5), ("audio", 6)]


def test_who_was_not_seen_or_told_of_for_long_is_not_kept() -> None:
    sights, waits = Seen(), Waiting()
    for second in range(100):
        names = [f"{second} {number}" for number in range(10)]
        sights.note(seen(*((name, "video/720p/1.m4s", 0.0) for name in names)), second)
        for name in names:
            waits.demand(demand("video/720p/4.m4s", name), second)
            waits.withdraw(withdrawn("video/720p/4.m4s", name, "here"), second)
    assert len(sights.places(99)) == 100
    assert all(len(kept) <= 100 for kept in (*vars(sights).values(), *vars(waits).values()))
