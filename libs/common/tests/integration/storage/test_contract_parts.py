"""How objects are written in parts, held against every adapter."""

import asyncio

import pytest

from reelay.common.identity import MAX_PARTS, PART_SIZE_BYTES
from reelay.common.storage import (
    AttemptMissingError,
    InvalidPartsError,
    ObjectMissingError,
    ObjectStore,
    read_all,
)

from .reading import FULL_PART, names, part_of

pytestmark = pytest.mark.integration


async def test_parts_sent_in_any_order_become_one_object(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("sources/s")
    tags = {}
    for number, data in ((3, b"end"), (1, FULL_PART), (2, FULL_PART[::-1])):
        tags[number] = await any_store.put_part("sources/s", attempt, number, data)
    assert await names(any_store, "") == []
    result = await any_store.complete_parts("sources/s", attempt, [tags[n] for n in (1, 2, 3)])
    assert result.created
    assert result.info.size_bytes == 2 * PART_SIZE_BYTES + 3
    assert await read_all(any_store, "sources/s") == FULL_PART + FULL_PART[::-1] + b"end"
    assert await names(any_store, "") == ["sources/s"]


async def test_part_stored_again_replaces_the_first(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    first = await any_store.put_part("k", attempt, 1, FULL_PART)
    await any_store.put_part("k", attempt, 2, b"much longer than the second")
    new = await any_store.put_part("k", attempt, 2, b"short")
    await any_store.complete_parts("k", attempt, [first, new])
    assert await part_of(any_store, "k", PART_SIZE_BYTES) == b"short"


async def test_tag_of_a_replaced_part_never_stands_for_the_new_bytes(
    any_store: ObjectStore,
) -> None:
    attempt = await any_store.begin_parts("k")
    old = await any_store.put_part("k", attempt, 1, b"old")
    await any_store.put_part("k", attempt, 1, b"brand new")
    try:
        await any_store.complete_parts("k", attempt, [old])
    except InvalidPartsError:
        assert await names(any_store, "") == []
    else:
        assert await read_all(any_store, "k") == b"old"


async def test_parts_left_out_at_the_end_are_not_in_the_object(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    first = await any_store.put_part("k", attempt, 1, FULL_PART)
    await any_store.put_part("k", attempt, 2, b"left out")
    result = await any_store.complete_parts("k", attempt, [first])
    assert result.info.size_bytes == PART_SIZE_BYTES


async def test_parts_that_make_no_object_are_refused(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    short = await any_store.put_part("k", attempt, 1, b"short")
    end = await any_store.put_part("k", attempt, 2, b"end")
    for tags in ([], [short, end], [end], [short, end, end]):
        with pytest.raises(InvalidPartsError):
            await any_store.complete_parts("k", attempt, tags)
    for number, data in ((0, b"x"), (MAX_PARTS + 1, b"x"), (1, b""), (1, FULL_PART + b"x")):
        with pytest.raises(InvalidPartsError):
            await any_store.put_part("k", attempt, number, data)
    with pytest.raises(ObjectMissingError):
        await any_store.head("k")
    assert (await any_store.complete_parts("k", attempt, [short])).created


async def test_last_part_may_come_with_the_completion(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    first = await any_store.put_part("k", attempt, 1, FULL_PART)
    await any_store.put_part("k", attempt, 2, b"an end that is replaced")
    result = await any_store.complete_parts("k", attempt, [first], b"end")
    assert (result.created, result.info.size_bytes) == (True, PART_SIZE_BYTES + 3)
    assert await read_all(any_store, "k") == FULL_PART + b"end"
    again = await any_store.complete_parts("k", attempt, [first], b"other end")
    assert (again.created, again.info) == (False, result.info)
    assert await part_of(any_store, "k", PART_SIZE_BYTES) == b"end"


async def test_last_part_does_not_follow_a_short_one(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    short = await any_store.put_part("k", attempt, 1, b"short")
    with pytest.raises(InvalidPartsError):
        await any_store.complete_parts("k", attempt, [short], b"end")
    with pytest.raises(InvalidPartsError):
        await any_store.complete_parts("k", attempt, [], FULL_PART + b"x")
    assert await names(any_store, "") == []
    assert (await any_store.complete_parts("k", attempt, [], b"one")).created
    with pytest.raises(AttemptMissingError):
        await any_store.complete_parts("other", attempt, [], b"one")


async def test_completing_twice_finds_the_object_there(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    tag = await any_store.put_part("k", attempt, 1, b"bytes")
    first = await any_store.complete_parts("k", attempt, [tag])
    again = await any_store.complete_parts("k", attempt, [tag])
    assert (first.created, again.created) == (True, False)
    assert again.info == first.info
    with pytest.raises(AttemptMissingError):
        await any_store.put_part("k", attempt, 1, b"other")
    assert await read_all(any_store, "k") == b"bytes"


async def test_parts_completed_onto_a_taken_key_change_nothing(any_store: ObjectStore) -> None:
    first = await any_store.put("k", b"first")
    attempt = await any_store.begin_parts("k")
    tag = await any_store.put_part("k", attempt, 1, b"second one")
    result = await any_store.complete_parts("k", attempt, [tag])
    assert not result.created
    assert result.info == first.info
    assert await read_all(any_store, "k") == b"first"
    with pytest.raises(AttemptMissingError):
        await any_store.put_part("k", attempt, 1, b"x")


async def test_dropped_attempt_is_missing(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    tag = await any_store.put_part("k", attempt, 1, b"x")
    await any_store.abort_parts("k", attempt)
    await any_store.abort_parts("k", attempt)
    with pytest.raises(AttemptMissingError):
        await any_store.put_part("k", attempt, 1, b"x")
    with pytest.raises(AttemptMissingError):
        await any_store.complete_parts("k", attempt, [tag])
    assert await names(any_store, "") == []


async def test_sweep_drops_old_attempts_and_spares_young_ones(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    await any_store.put_part("k", attempt, 1, b"x")
    assert await any_store.sweep(3600) == 0
    await any_store.put_part("k", attempt, 1, b"y")
    await asyncio.sleep(1.1)
    assert await any_store.sweep(0.01) == 1
    with pytest.raises(AttemptMissingError):
        await any_store.put_part("k", attempt, 1, b"x")


async def test_sweep_spares_attempts_in_use_whatever_their_age(any_store: ObjectStore) -> None:
    in_use, forgotten, other = [await any_store.begin_parts(key) for key in ("k", "k", "other")]
    tag = await any_store.put_part("k", in_use, 1, b"x")
    await any_store.put_part("other", other, 1, b"y")
    assert await any_store.sweep(-60, {in_use}) == 2
    for key, attempt in (("k", forgotten), ("other", other)):
        with pytest.raises(AttemptMissingError):
            await any_store.put_part(key, attempt, 1, b"z")
    assert [part.number for part in await any_store.list_parts("k", in_use)] == [1]
    assert (await any_store.complete_parts("k", in_use, [tag])).created
