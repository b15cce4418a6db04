"""How objects are stored, read and removed, held against every adapter."""

import asyncio
import hashlib
import os
import random
import time
from pathlib import Path

import pytest

from reelay.common.storage import ObjectMissingError, ObjectStore, digest, read_all

from .reading import FULL_PART, names, part_of

pytestmark = pytest.mark.integration


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
