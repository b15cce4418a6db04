"""In whose names the waiting room demands an object."""

import asyncio
from collections import Counter

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import Found
from reelay.content_api.handlers.waiting import ClientGone, Visitor, WaitingLimits, WaitingRoom

from ..waiting import NotedDemand, Shelf, leaves, never

NAME = ContentName("a" * 64, "video/360p/1.m4s")
OTHERS = [ContentName("a" * 64, f"video/360p/{number}.m4s") for number in range(2, 10)]
REPEAT_S = 0.1


def opened(repeat_s: float = REPEAT_S) -> tuple[WaitingRoom, NotedDemand]:
    """Return an empty room, and where its demands are noted."""
    demand, shelf = NotedDemand(), Shelf()
    limits = WaitingLimits(wait_s=20, repeat_s=repeat_s)
    return WaitingRoom(shelf.look, shelf.glance, demand, limits), demand


async def ask(
    room: WaitingRoom, viewer: str, name: ContentName = NAME, gone: ClientGone = never
) -> asyncio.Task[Found]:
    """Begin to wait, and let the room take note of it."""
    waiting = asyncio.create_task(room.wait(name, None, Visitor(viewer, gone)))
    await asyncio.sleep(0.02)
    return waiting


async def test_who_joins_is_told_of_at_once() -> None:
    room, demand = opened(repeat_s=20)
    first = await ask(room, "greedy-player")
    second = await ask(room, "modest-player")
    assert demand.viewers == ["greedy-player", "modest-player"]
    assert demand.told == [NAME, NAME]
    room.close()
    await asyncio.gather(first, second, return_exceptions=True)


async def test_viewer_with_many_requests_is_told_of_once() -> None:
    room, demand = opened(repeat_s=20)
    for viewer in ("one-player", "two-player", "one-player", "two-player"):
        await ask(room, viewer)
    assert demand.viewers == ["one-player", "two-player"]


async def test_all_who_wait_are_told_of_again() -> None:
    room, demand = opened()
    await ask(room, "greedy-player")
    await ask(room, "modest-player")
    demand.viewers.clear()
    await asyncio.sleep(3.5 * REPEAT_S)
    counts = Counter(demand.viewers)
    assert set(counts) == {"greedy-player", "modest-player"}
    assert len(set(counts.values())) == 1
    assert 2 <= counts["modest-player"] <= 4


async def test_who_left_is_not_told_of() -> None:
    room, demand = opened()
    end = asyncio.Event()
    await ask(room, "greedy-player", gone=leaves(end))
    await ask(room, "modest-player")
    end.set()
    await asyncio.sleep(0.01)
    demand.viewers.clear()
    await asyncio.sleep(2.5 * REPEAT_S)
    assert set(demand.viewers) == {"modest-player"}


async def test_who_leaves_while_others_are_told_of_is_not() -> None:
    end = asyncio.Event()

    class SlowDemand(NotedDemand):
        async def tell(self, name: ContentName, viewer: str) -> None:
            await super().tell(name, viewer)
            end.set()
            await asyncio.sleep(0.01)

    demand, shelf = SlowDemand(), Shelf()
    limits = WaitingLimits(wait_s=20, repeat_s=REPEAT_S)
    room = WaitingRoom(shelf.look, shelf.glance, demand, limits)
    staying = asyncio.create_task(room.wait(NAME, None, Visitor("stays-player", never)))
    leaving = asyncio.create_task(room.wait(NAME, None, Visitor("leaves-player", leaves(end))))
    await asyncio.wait({leaving})
    await asyncio.sleep(1.5 * REPEAT_S)
    assert set(demand.viewers) == {"stays-player"}
    assert not staying.done()


async def test_few_names_are_repeated_and_modest_ones_first() -> None:
    room, demand = opened(repeat_s=1.0)
    for name in OTHERS:
        await ask(room, "greedy-player", name)
    started = asyncio.get_running_loop().time()
    for number in range(12):
        await ask(room, f"crowd-{number}")
    await ask(room, "greedy-player")
    for number in range(3):
        await ask(room, f"modest{number}-player")
    of_name = list(zip(demand.told, demand.viewers, strict=True))
    assert sum(told == NAME for told, _ in of_name) == 16
    demand.told.clear()
    demand.viewers.clear()
    await asyncio.sleep(started + 1.3 - asyncio.get_running_loop().time())
    repeated = [v for n, v in zip(demand.told, demand.viewers, strict=True) if n == NAME]
    assert repeated[:3] == [f"modest{number}-player" for number in range(3)]
    # The greedy one has fewer places than the crowd has at its address.
    assert repeated[3] == "greedy-player"
    assert len(repeated) == 8
