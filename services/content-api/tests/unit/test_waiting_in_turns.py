"""The waiting room when viewers want more places than there are."""

import asyncio
from collections.abc import Iterable

import pytest

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.news import News
from reelay.content_api.domain.ports import Found, StoredFile
from reelay.content_api.handlers.waiting import (
    ClientGone,
    ClientGoneError,
    NotYetError,
    TooManyWaitingError,
    Visitor,
    WaitingLimits,
    WaitingRoom,
)

from ..waiting import NotedDemand, Shelf, leaves, never

FILM, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64
FILE = StoredFile("/store/1", 1)
LIMITS = WaitingLimits(wait_s=20, repeat_s=20, total=16, per_package=8)
GREEDY, MODEST = "greedy-player", "modest-player"

Waiting = asyncio.Task[Found]


class Room(WaitingRoom):
    """A full-size room is not needed; this one is soon full, and nobody's patience ends."""

    def __init__(self, limits: WaitingLimits = LIMITS) -> None:
        self.shelf, self.demand = Shelf(), NotedDemand()
        super().__init__(self.shelf.look, self.shelf.glance, self.demand, limits)

    def ask(
        self, viewer: str, films: Iterable[str], number: int, gone: ClientGone = never
    ) -> list[Waiting]:
        """Ask for this many segments of each film at once."""
        names = [ContentName(f, f"video/360p/{n}.m4s") for f in films for n in range(1, number + 1)]
        visitor = Visitor(viewer, gone)
        return [asyncio.create_task(self.wait(name, None, visitor)) for name in names]


async def settle() -> None:
    """Let everybody come in, and those who lost their places leave."""
    for _ in range(5):
        await asyncio.sleep(0)


def refused(requests: Iterable[Waiting]) -> list[bool]:
    """Tell which were sent away; all others must wait still."""
    return [task.done() and isinstance(task.exception(), TooManyWaitingError) for task in requests]


async def assert_empty(room: Room) -> None:
    """Assert that exactly as many places are free as a new room has."""
    filling = [
        room.ask(f"{film}{i}-player", [film], 1) for film in (FILM, SECOND) for i in range(8)
    ]
    late = room.ask("late-player", [THIRD], 1)
    await settle()
    assert [refused(tasks) for tasks in filling] == [[False]] * 16
    assert refused(late) == [True]


@pytest.fixture
async def room() -> Room:
    return Room()


@pytest.mark.parametrize("film", [FILM, SECOND, THIRD])
async def test_viewer_who_asks_for_everything_keeps_nobody_out(room: Room, film: str) -> None:
    greedy = room.ask(GREEDY, [FILM, SECOND], 100)
    await settle()
    assert refused(greedy).count(False) == LIMITS.total
    modest = room.ask(MODEST, [film], 3)
    await settle()
    assert refused(modest) == [False] * 3
    assert refused(greedy).count(False) == LIMITS.total - 3
    room.shelf.file = FILE
    room.wake(News(film))
    assert await asyncio.gather(*modest) == [FILE] * 3


async def test_what_was_asked_for_last_is_given_up_first(room: Room) -> None:
    greedy = room.ask(GREEDY, [FILM], 8)
    await settle()
    room.ask(MODEST, [FILM], 2)
    await settle()
    assert refused(greedy) == [False] * 6 + [True] * 2


async def test_greedy_viewer_who_asks_again_is_refused(room: Room) -> None:
    room.ask(GREEDY, [FILM, SECOND], 8)
    await settle()
    modest = room.ask(MODEST, [THIRD], 3)
    await settle()
    again = room.ask(GREEDY, [FILM, SECOND, THIRD], 8)
    await settle()
    assert refused(modest) == [False] * 3
    assert refused(again) == [True] * 24


async def test_handful_of_greedy_addresses_keeps_nobody_out(room: Room) -> None:
    for number in range(4):
        room.ask(f"{number}-player", [FILM, SECOND, THIRD], 100)
        await settle()
    modest = room.ask(MODEST, [THIRD], 2)
    await settle()
    for number in range(4):
        room.ask(f"{number}-player", [THIRD, FILM, SECOND], 100)
        await settle()
    assert refused(modest) == [False] * 2


async def test_names_of_players_bring_an_address_no_more_places(room: Room) -> None:
    greedy = [room.ask(f"greedy-{i}", [FILM], 1) for i in range(8)]
    await settle()
    modest = room.ask(MODEST, [FILM], 3)
    await settle()
    assert refused(modest) == [False] * 3
    assert sum(refused(task) == [True] for task in greedy) == 3


async def test_players_at_one_address_take_turns() -> None:
    room = Room(WaitingLimits(wait_s=20, repeat_s=20, per_package=7))
    greedy = room.ask("home-greedy", [FILM], 7)
    await settle()
    modest = room.ask("home-modest", [FILM], 20)
    await settle()
    assert refused(modest).count(False) == 3
    assert refused(greedy).count(False) == 4


async def test_who_has_most_in_the_whole_room_gives_up_first(room: Room) -> None:
    greedy = room.ask(GREEDY, [FILM], 2) + room.ask(GREEDY, [SECOND], 6)
    others = [task for i in range(2) for task in room.ask(f"{i}-player", [FILM], 3)]
    await settle()
    room.ask(MODEST, [FILM], 1)
    await settle()
    assert not any(refused(others))
    assert refused(greedy) == [False, True] + [False] * 6


async def test_player_beside_a_greedy_one_keeps_its_turn_when_others_are_as_greedy(
    room: Room,
) -> None:
    room.ask("home-greedy", [FILM], 8)
    room.ask(GREEDY, [SECOND], 8)
    await settle()
    modest = room.ask("home-modest", [THIRD], 2)
    await settle()
    assert refused(modest) == [False] * 2


async def test_nobody_is_sent_away_where_all_have_about_as_many(room: Room) -> None:
    waiting = [task for i in range(4) for task in room.ask(f"{i}-player", [FILM], 2)]
    await settle()
    newcomers = room.ask(MODEST, [FILM], 1)
    await settle()
    assert refused(newcomers) == [False]
    # Somebody has one now, as the newcomer has; a second would only be a swap.
    late = room.ask(MODEST, [FILM], 2)[1:]
    await settle()
    assert refused(late) == [True]
    assert refused(waiting).count(True) == 1


async def test_greedy_elsewhere_is_greedy_here(room: Room) -> None:
    room.ask(GREEDY, [SECOND], 8)
    waiting = [task for i in range(4) for task in room.ask(f"{i}-player", [FILM], 2)]
    await settle()
    more = room.ask(GREEDY, [FILM], 1)
    await settle()
    assert refused(more) == [True]
    assert not any(refused(waiting))


async def test_object_is_watched_on_for_the_newcomer_who_waits_for_the_same() -> None:
    room = Room(WaitingLimits(wait_s=20, repeat_s=20, total=2))
    greedy = room.ask(GREEDY, [FILM], 2)
    await settle()
    name = ContentName(FILM, "video/360p/2.m4s")
    modest = asyncio.create_task(room.wait(name, None, Visitor(MODEST, never)))
    await settle()
    assert refused(greedy) == [False, True]
    room.shelf.file = FILE
    room.wake(News(FILM))
    assert await asyncio.gather(modest, greedy[0]) == [FILE] * 2


async def test_nobody_asks_for_what_was_given_up() -> None:
    room = Room(WaitingLimits(wait_s=20, repeat_s=0.03, total=2))
    room.ask(GREEDY, [FILM], 2)
    await settle()
    room.ask(MODEST, [SECOND], 1)
    await settle()
    room.demand.told.clear()
    await asyncio.sleep(0.1)
    assert {name.package_id + name.path for name in room.demand.told} == {
        FILM + "video/360p/1.m4s",
        SECOND + "video/360p/1.m4s",
    }


@pytest.mark.parametrize("way", ["cancelled", "gone", "dismissed", "found", "failed"])
async def test_no_place_is_lost_however_they_leave(room: Room, way: str) -> None:
    end = asyncio.Event()
    waiting = room.ask(GREEDY, [FILM, SECOND], 20, leaves(end))
    await settle()
    waiting += room.ask(MODEST, [FILM, THIRD], 3, leaves(end))
    await settle()
    assert refused(waiting).count(False) == LIMITS.total
    # One gives up its place in the very moment in which all leave.
    room.ask("late-player", [THIRD], 1, leaves(end))
    await asyncio.sleep(0)
    if way == "cancelled":
        for task in waiting:
            task.cancel()
    elif way == "gone":
        end.set()
    elif way == "dismissed":
        for film in (FILM, SECOND, THIRD):
            room.dismiss(film)
    else:
        room.shelf.file = FILE if way == "found" else None
        room.shelf.error = PermissionError("never") if way == "failed" else None
        for film in (FILM, SECOND, THIRD):
            room.wake(News(film))
    results = await asyncio.gather(*waiting, return_exceptions=True)
    expected = {
        "cancelled": asyncio.CancelledError,
        "gone": ClientGoneError,
        "dismissed": NotYetError,
        "found": StoredFile,
        "failed": PermissionError,
    }
    assert {type(result) for result in results} == {expected[way], TooManyWaitingError}
    end.set()
    await asyncio.sleep(0.05)
    room.shelf.file = room.shelf.error = None
    await assert_empty(room)
