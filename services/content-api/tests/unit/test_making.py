"""Things are made once for all who ask, and given up when there is no room."""

import asyncio
from collections.abc import Iterator

import pytest

from reelay.common.errors import NotFoundError
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.handlers.making import KEEP_S, Making


class InMemoryDerived:
    """Remembers what was removed."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    async def write(self, blocks: Iterator[bytes]) -> StoredFile:
        return StoredFile("made", sum(map(len, blocks)))

    def remove(self, file: StoredFile) -> None:
        self.removed.append(file.path)


class Workshop:
    """Makes files of 100 bytes when it is let."""

    def __init__(self) -> None:
        self.derived = InMemoryDerived()
        self.now_s = 0.0
        self.made: list[str] = []
        self.open = asyncio.Event()
        self.making: Making[StoredFile] = Making(
            lambda made: made, self.derived, 250, lambda: self.now_s
        )

    async def get(self, key: str) -> StoredFile:
        async def make() -> StoredFile:
            self.made.append(key)
            await self.open.wait()
            return StoredFile(key, 100)

        return await self.making.get(key, make)


async def begun(workshop: Workshop, count: int) -> None:
    async with asyncio.timeout(5):
        while len(workshop.made) < count:  # noqa: ASYNC110 (the loop's own turns are waited for)
            await asyncio.sleep(0)


async def test_thing_is_made_once_however_many_ask() -> None:
    workshop = Workshop()
    asking = [asyncio.create_task(workshop.get("a")) for _ in range(20)]
    await begun(workshop, 1)
    asking[0].cancel()
    workshop.open.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert {a.path for a in answers[1:] if isinstance(a, StoredFile)} == {"a"}
    await workshop.get("a")
    assert workshop.made == ["a"]


async def test_failure_is_told_to_all_and_tried_again_by_the_next() -> None:
    workshop = Workshop()

    async def fail() -> StoredFile:
        raise NotFoundError("no")

    for _ in range(2):
        with pytest.raises(NotFoundError):
            await workshop.making.get("a", fail)
    workshop.open.set()
    assert (await workshop.get("a")).path == "a"


async def test_room_is_made_but_not_of_what_was_just_used() -> None:
    workshop = Workshop()
    workshop.open.set()
    for key in "abc":
        await workshop.get(key)
    assert workshop.derived.removed == []
    workshop.now_s += KEEP_S
    await workshop.get("d")
    assert set(workshop.derived.removed) < {"a", "b", "c"}
    assert len(workshop.derived.removed) == 2


async def test_forgotten_things_are_removed_and_made_again() -> None:
    workshop = Workshop()
    workshop.open.set()
    await workshop.get("packages/a/x")
    await workshop.get("packages/b/x")
    workshop.making.forget("packages/a/")
    assert workshop.derived.removed == ["packages/a/x"]
    await workshop.get("packages/a/x")
    await workshop.get("packages/b/x")
    assert workshop.made == ["packages/a/x", "packages/b/x", "packages/a/x"]


async def test_thing_forgotten_while_it_is_made_is_not_given_out() -> None:
    workshop = Workshop()
    asking = asyncio.create_task(workshop.get("packages/a/x"))
    await begun(workshop, 1)
    workshop.making.forget("packages/a/")
    workshop.open.set()
    with pytest.raises(NotFoundError):
        await asking
    assert workshop.derived.removed == ["packages/a/x"]


async def test_few_things_are_made_at_a_time() -> None:
    workshop = Workshop()
    asking = [asyncio.create_task(workshop.get(key)) for key in "abcd"]
    await begun(workshop, 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert workshop.made == ["a", "b"]
    workshop.open.set()
    assert [file.path for file in await asyncio.gather(*asking)] == ["a", "b", "c", "d"]
