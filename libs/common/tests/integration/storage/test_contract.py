"""What the ObjectStore port promises, held against every adapter."""

import asyncio
import hashlib
import os
import random
import time
from pathlib import Path

import pytest

from reelay.common.identity import MAX_PARTS, PART_SIZE_BYTES
from reelay.common.storage import (
    AttemptMissingError,
    InvalidKeyError,
    InvalidPartsError,
    ObjectMissingError,
    ObjectStore,
    digest,
    read_all,
)

pytestmark = pytest.mark.integration

FULL_PART = random.Random(1).randbytes(PART_SIZE_BYTES)
MALFORMED = [
    "",
    "/x",
    "x/",
    "../x",
    "x/..",
    "a/../b",
    "a//b",
    "a/./b",
    ".tmp/x",
    "a/.hidden",
    "a\0b",
    "a\n",
    "a b",
    "a\\b",
    "a%2fb",
    "ä/b",
    "a/\u202e",
    "k" * 513,
    "a/" + "k" * 256,
]


async def names(store: ObjectStore, prefix: str) -> list[str]:
    return [info.key async for info in store.scan(prefix)]


async def part_of(store: ObjectStore, key: str, start: int, end: int | None = None) -> bytes:
    return b"".join([block async for block in store.read(key, start, end)])


async def test_stored_object_is_read_back_described_and_digested(any_store: ObjectStore) -> None:
    before_s = time.time()
    result = await any_store.put("packages/p/v/1.m4s", b"segment")
    assert result.created
    assert (result.info.key, result.info.size_bytes) == ("packages/p/v/1.m4s", 7)
    assert await any_store.head("packages/p/v/1.m4s") == result.info
    assert before_s - 2 < result.info.modified_at_s < time.time() + 2
    assert await read_all(any_store, "packages/p/v/1.m4s") == b"segment"
    sha = hashlib.sha256(b"segment").hexdigest()
    assert await digest(any_store, "packages/p/v/1.m4s") == (7, sha)


async def test_empty_object_is_an_object(any_store: ObjectStore) -> None:
    assert (await any_store.put("empty", b"")).info.size_bytes == 0
    assert await read_all(any_store, "empty") == b""
    assert await part_of(any_store, "empty", 0, 5) == b""
    assert await names(any_store, "") == ["empty"]


async def test_taken_key_keeps_its_first_bytes(any_store: ObjectStore, tmp_path: Path) -> None:
    first = await any_store.put("k", b"first")
    again = await any_store.put("k", b"second one")
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    large = await any_store.put("k", tmp_path / "large")
    assert not again.created
    assert not large.created
    assert again.info == large.info == first.info
    assert await read_all(any_store, "k") == b"first"


@pytest.mark.parametrize("size_bytes", [100, 2_000_000])
async def test_of_concurrent_puts_exactly_one_wins(any_store: ObjectStore, size_bytes: int) -> None:
    for round_number in range(4):
        key = f"race/{round_number}"
        bodies = [bytes([n]) * (size_bytes + n) for n in range(8)]
        results = await asyncio.gather(*(any_store.put(key, body) for body in bodies))
        winners = [n for n, result in enumerate(results) if result.created]
        assert len(winners) == 1
        assert {result.info.size_bytes for result in results} == {size_bytes + winners[0]}
        assert await read_all(any_store, key) == bodies[winners[0]]


async def test_ranges_are_cut_at_their_edges_and_at_the_end(any_store: ObjectStore) -> None:
    data = random.Random(2).randbytes(600_001)
    await any_store.put("k", data)
    ranges: list[tuple[int, int | None]] = [
        (0, None),
        (0, 1),
        (1, None),
        (262_143, 262_145),
        (262_144, 524_288),
        (600_000, 600_001),
        (600_000, None),
        (0, 9_999_999),
        (600_000, 9_999_999),
        (600_001, None),
        (600_001, 600_002),
        (9_999_999, None),
        (5, 5),
        (6, 5),
    ]
    for start, end in ranges:
        assert await part_of(any_store, "k", start, end) == data[start:end], (start, end)


async def test_reader_may_stop_early_without_holding_anything(any_store: ObjectStore) -> None:
    await any_store.put("k", FULL_PART)
    assert await read_all(any_store, "k") == FULL_PART
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        blocks = any_store.read("k")
        async for block in blocks:
            assert block == FULL_PART[: len(block)]
            break
        await blocks.aclose()  # type: ignore[attr-defined]  # every adapter's is a generator
    assert len(os.listdir("/proc/self/fd")) <= open_before
    assert await read_all(any_store, "k") == FULL_PART


async def test_cancelled_reader_leaves_the_store_usable(any_store: ObjectStore) -> None:
    await any_store.put("k", FULL_PART)
    for delay_s in (0.0, 0.001, 0.003, 0.01):
        reader = asyncio.create_task(read_all(any_store, "k"))
        await asyncio.sleep(delay_s)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    assert await read_all(any_store, "k") == FULL_PART


async def test_missing_object_is_said_to_be_missing(any_store: ObjectStore) -> None:
    for key in ("nothing", "no/thing"):
        with pytest.raises(ObjectMissingError):
            await any_store.head(key)
        with pytest.raises(ObjectMissingError):
            await read_all(any_store, key)
        with pytest.raises(ObjectMissingError):
            await part_of(any_store, key, 5, 5)
        await any_store.delete(key)


async def test_name_of_a_directory_is_no_object(any_store: ObjectStore) -> None:
    await any_store.put("a/b/c", b"x")
    with pytest.raises(ObjectMissingError):
        await any_store.head("a/b")
    with pytest.raises(ObjectMissingError):
        await read_all(any_store, "a/b")
    await any_store.delete("a/b")
    with pytest.raises(InvalidKeyError):
        await any_store.put("a/b", b"y")
    assert await names(any_store, "") == ["a/b/c"]


async def test_deleted_object_is_gone_and_its_key_free(any_store: ObjectStore) -> None:
    await any_store.put("d/e/f", b"old")
    await any_store.put("d/g", b"other")
    await any_store.delete("d/e/f")
    await any_store.delete("d/e/f")
    with pytest.raises(ObjectMissingError):
        await any_store.head("d/e/f")
    assert await names(any_store, "") == ["d/g"]
    assert (await any_store.put("d/e/f", b"new")).created
    assert await read_all(any_store, "d/e/f") == b"new"


async def test_puts_beside_deletes_of_neighbours_all_succeed(any_store: ObjectStore) -> None:
    async def come_and_go(number: int) -> None:
        for _ in range(10):
            assert (await any_store.put(f"busy/{number % 2}/{number}", b"x")).created
            await any_store.delete(f"busy/{number % 2}/{number}")

    await asyncio.gather(*(come_and_go(number) for number in range(8)))
    assert await names(any_store, "busy/") == []


async def test_scan_is_ordered_by_whole_keys(any_store: ObjectStore) -> None:
    keys = ["o/a/b", "o/a/b-1", "o/a-b", "o/a.b", "o/a1", "o/aZ", "o/a_b", "o/b", "p", "o0"]
    for key in keys:
        await any_store.put(key, b"x")
    assert await names(any_store, "") == sorted(keys)
    for prefix in ("o", "o/", "o/a", "o/a/", "o/a/b", "o/a-", "o/zz", "zz/", "p", "p/"):
        assert await names(any_store, prefix) == sorted(k for k in keys if k.startswith(prefix))


async def test_scan_of_more_than_a_page_is_complete_and_ordered(any_store: ObjectStore) -> None:
    keys = [f"many/{n % 3}/{n}.m4s" for n in range(1_020)] + ["many/0-x", "many/1.x"]
    limit = asyncio.Semaphore(16)

    async def put(key: str) -> None:
        async with limit:
            await any_store.put(key, b"")

    await asyncio.gather(*map(put, keys))
    assert await names(any_store, "many/") == sorted(keys)


@pytest.mark.parametrize("key", MALFORMED, ids=range(len(MALFORMED)))
async def test_malformed_key_is_refused_everywhere(any_store: ObjectStore, key: str) -> None:
    with pytest.raises(InvalidKeyError):
        await any_store.put(key, b"x")
    with pytest.raises(InvalidKeyError):
        await any_store.head(key)
    with pytest.raises(InvalidKeyError):
        await read_all(any_store, key)
    with pytest.raises(InvalidKeyError):
        await any_store.delete(key)
    with pytest.raises(InvalidKeyError):
        any_store.local_path(key)
    with pytest.raises(InvalidKeyError):
        await any_store.begin_parts(key)
    with pytest.raises(InvalidKeyError):
        await any_store.put_part(key, "attempt", 1, b"x")
    with pytest.raises(InvalidKeyError):
        await any_store.complete_parts(key, "attempt", ["tag"])
    with pytest.raises(InvalidKeyError):
        await any_store.abort_parts(key, "attempt")


@pytest.mark.parametrize("prefix", ["/", "../", "a/..", "a//", ".tmp", "a\0"])
async def test_malformed_prefix_is_refused(any_store: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidKeyError):
        await names(any_store, prefix)


async def test_longest_key_is_stored(any_store: ObjectStore) -> None:
    key = "k" * 255 + "/" + "l" * 255 + "/"
    await any_store.put(key[:511], b"x")
    assert await names(any_store, "k") == [key[:511]]


async def test_large_file_is_streamed_in_and_out(any_store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(random.Random(3).randbytes(20 * 1024 * 1024))
    assert (await any_store.put("sources/s", source)).created
    sha = hashlib.sha256(source.read_bytes()).hexdigest()
    assert await digest(any_store, "sources/s") == (20 * 1024 * 1024, sha)


async def test_put_of_a_file_that_is_not_there_says_so(
    any_store: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await any_store.put("k", tmp_path / "nothing")
    assert await names(any_store, "") == []


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


async def test_fresh_store_passes_its_check_and_is_empty(any_store: ObjectStore) -> None:
    assert await names(any_store, "") == []
    await any_store.check()
    assert await names(any_store, "") == []
