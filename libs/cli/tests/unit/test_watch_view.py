"""What a terminal of some size shows of a map."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from reelay.cli.watch_cells import flow, markers, shares, ticks
from reelay.cli.watch_map import News, Package, PackageMap, Rendition, Row, Viewer, bit_range
from reelay.cli.watch_view import draw
from reelay.common.commands import Lane

from ..watch_samples import PACKAGE

VIDEO, AUDIO = PACKAGE.renditions[1], PACKAGE.renditions[2]

FILM = PackageMap(
    package=PACKAGE,
    title="Film",
    state="playable",
    reason="",
    rows=(
        Row(PACKAGE.rendition("720p"), bit_range(1, 1),
            {Lane.ONDEMAND: bit_range(3, 3), Lane.LADDER: bit_range(5, 6)}),
        Row(PACKAGE.rendition("360p"), bit_range(1, 4), {Lane.LADDER: bit_range(5, 6)}),
        Row(PACKAGE.rendition("audio"), bit_range(1, 3), {Lane.OPENING: bit_range(4, 4)}),
    ),
    viewers=(Viewer("720p", 3, 2.0), Viewer("audio", 5, 8.0)),
    encoders=1,
    elapsed_s=40.2,
)  # fmt: skip

AT_40 = """\
Film
playable · 44 % · 8/18 segments
1 encoder · 40 s

   720p ██▎·▓▓▓▓▓▓········░░░░░░░░░░░░░░
   360p ██████████████████▎░░░░░░░░░░░░░
  audio █████████▏▒▒▒▒▒▒▒▒▒·············
viewers     ▲720p         ▲audio
        0:00       0:05       0:10
█ stored  ░ ladder work  ▒ opening work
▓ ondemand work  · promised
q or Ctrl-C leaves"""

AT_80 = """\
Film
playable · 44 % · 8/18 segments · 1 encoder · 40 s

   720p ████▊····▓▓▓▓▓▓▓▓▓▓▓··················░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 1/6
   360p ██████████████████████████████████████▊░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 4/6
  audio ███████████████████▍▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒····························· 3/6
viewers          ▲720p                        ▲audio
        0:00                    0:05                    0:10
█ stored  ░ ladder work  ▒ opening work  ▓ ondemand work  · promised
q or Ctrl-C leaves"""

AT_120 = """\
Film
playable · 44 % · 8/18 segments · 1 encoder · 40 s

   720p ███████▋·······▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓······························░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 1/6
   360p █████████████████████████████████████████████████████████████▋░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 4/6
  audio ██████████████████████████████▉▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒·············································· 3/6
viewers                ▲720p                                         ▲audio
        0:00           0:02           0:04            0:06           0:08            0:10           0:12
█ stored  ░ ladder work  ▒ opening work  ▓ ondemand work  · promised
q or Ctrl-C leaves"""  # noqa: E501


def lines(known: PackageMap, width: int, height: int | None = None, **more: bool) -> list[str]:
    return draw(known, width, height, **more).plain.split("\n")


@pytest.mark.parametrize(("width", "picture"), [(40, AT_40), (80, AT_80), (120, AT_120)])
def test_picture_fits_the_width(width: int, picture: str) -> None:
    assert draw(FILM, width).plain == picture


def test_news_are_below_the_map_and_the_newest_is_last() -> None:
    known = replace(FILM, news=tuple(News(float(at), f"news {at}") for at in range(9, 0, -1)))
    shown = [line for line in lines(known, 80) if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert [line[9:] for line in shown] == [f"news {at}" for at in range(5, 10)]


def test_low_terminal_loses_news_first_then_the_legend() -> None:
    known = replace(FILM, news=tuple(News(float(at), f"news {at}") for at in range(5, 0, -1)))
    assert "news 5" in lines(known, 80, 13)[-2]
    assert "news 4" not in "".join(lines(known, 80, 12))
    assert "news" not in "".join(lines(known, 80, 11))
    assert "promised" in "".join(lines(known, 80, 10))
    assert "promised" not in "".join(lines(known, 80, 9))
    assert lines(known, 80, 9)[-1] == "q or Ctrl-C leaves"


def test_failure_is_said_with_its_reason() -> None:
    known = replace(FILM, state="failed", reason="The disk is full.")
    assert lines(known, 80)[1:3] == [
        "failed · 44 % · 8/18 segments · 1 encoder · 40 s", "The disk is full."
    ]  # fmt: skip


def test_title_is_one_line_without_control_characters_or_markup() -> None:
    known = replace(FILM, title="[red]A\nfilm\x1b[2J\twith a very long and winding title")
    title = lines(known, 40)[0]
    assert title.startswith("[red]A film")
    assert title.endswith("…")
    assert "\x1b" not in title


def test_terminal_without_unicode_gets_plain_characters() -> None:
    shown = draw(replace(FILM, title="Fête"), 60, ascii_only=True).plain
    assert shown.isascii()
    assert "720p ###=..!!!!!!!!.............---------------------" in shown


def test_elapsed_time_is_absent_when_the_plan_is_not_known() -> None:
    assert lines(replace(FILM, elapsed_s=None), 80)[1].endswith("1 encoder")


def test_stored_part_of_a_cell_lies_before_what_happens_to_the_rest() -> None:
    picture = draw(FILM, 40)
    place = picture.plain.index("▎░")
    styles = [str(span.style) for span in picture.spans if span.start == place]
    assert styles == ["green on blue"]


def test_shorter_rendition_that_is_complete_is_full_to_its_end() -> None:
    row = Row(VIDEO, VIDEO.whole, {})
    known = replace(FILM, rows=(row, Row(AUDIO, AUDIO.whole, {})), viewers=())
    for width in range(20, 200):
        line = lines(known, width)
        drawn = next(one for one in line if "720p " in one)
        assert set(drawn.removesuffix(" 6/6").strip().removeprefix("720p ")) == {"█"}, width


def test_cell_of_many_segments_is_filled_by_their_share() -> None:
    long = Rendition("360p", "video", "video/360p", tuple(4.0 * n for n in range(1, 1001)))
    assert shares(long, bit_range(1, 50), 4000, 10) == [0.5, *[0.0] * 9]
    assert shares(long, bit_range(51, 150), 4000, 10) == [0.5, 0.5, *[0.0] * 8]


def test_markers_are_labelled_where_there_is_room() -> None:
    def line(*viewers: tuple[str, float]) -> str:
        return markers([Viewer(name, 1, at) for name, at in viewers], 20.0, 20)

    assert line(("720p", 3.5)) == "   ▲720p"
    assert line(("720p", 17)) == "             720p▲"
    assert line(("720p", 3), ("audio", 3.9)) == "   ▲720p+audio"
    assert line(("720p", 3), ("360p", 4)) == "   ▲▲360p"
    assert line(("720p", 0), ("360p", 3), ("360p", 6)) == "▲  ▲  ▲360p"
    assert line() == ""


def test_markers_tell_how_many_wait() -> None:
    viewers = [Viewer("720p", 1, 3.0, 4), Viewer("720p", 2, 3.5, 2), Viewer("audio", 1, 3.0)]
    assert markers(viewers, 20.0, 20) == "   ▲720p(6)+audio"


def test_markers_tell_who_watches_from_who_waits() -> None:
    viewers = [
        Viewer("720p", 1, 3.0, 2, waits=False),
        Viewer("720p", 4, 12.0, 9, waits=False),
        Viewer("360p", 4, 12.0),
    ]
    assert markers(viewers, 20.0, 20) == "   ●720p(2) ▲360p"


def test_legend_tells_of_viewers_only_where_some_watch() -> None:
    known = replace(FILM, viewers=(Viewer("720p", 3, 2.0, waits=False),))
    assert "▲ viewer waits  ● viewer watches" in draw(known, 80).plain
    assert "viewer waits" not in draw(FILM, 80).plain
    assert "o viewer watches" in draw(known, 80, ascii_only=True).plain


def test_ticks_never_touch() -> None:
    assert ticks(14.0, 32) == "0:00       0:05       0:10"
    assert "  1:00:00  " in ticks(36_000.0, 200) or " 1:00:00 " in ticks(36_000.0, 200)
    assert ticks(0.5, 8) == "0:00"


def test_flow_divides_no_piece() -> None:
    assert flow(["one", "two", "three"], 9, " ") == ["one two", "three"]
    assert flow(["longer than it may be"], 5) == ["longer than it may be"]


titles = st.text(max_size=60)


@given(titles, st.integers(1, 200), st.integers(1, 40), st.booleans())
def test_nothing_is_wider_or_taller_than_the_terminal(title, width, height, ascii_only) -> None:
    known = replace(FILM, title=title, news=(News(1.0, title),))
    shown = lines(known, width, height, ascii_only=ascii_only)
    assert len(shown) <= height
    assert all(cell_len(line) <= width for line in shown)


def test_package_of_nothing_can_be_drawn() -> None:
    empty = PackageMap(Package("00" * 32, ()), "", "planned", "", ())
    assert lines(empty, 40)[1] == "planned · 0 % · 0/0 segments"
