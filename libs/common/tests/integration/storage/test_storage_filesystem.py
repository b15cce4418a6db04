"""What only the filesystem store can get wrong: links, power cuts, full disks, leftovers."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage import (
    AttemptMissingError,
    InvalidKeyError,
    InvalidPartsError,
    ObjectMissingError,
    StoreUnavailableError,
    read_all,
)
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.storage.part_files import PartFiles

pytestmark = pytest.mark.integration

PUT_A_FILE = """
import asyncio, sys
from pathlib import Path
from reelay.common.storage.filesystem import FilesystemObjectStore
asyncio.run(FilesystemObjectStore(Path(sys.argv[1])).put("packages/p/1.m4s", Path(sys.argv[2])))
"""

FILL_THE_DISK = """
import asyncio, resource, sys
from pathlib import Path
from reelay.common.storage import StoreFullError
from reelay.common.storage.filesystem import FilesystemObjectStore

async def main() -> None:
    store = FilesystemObjectStore(Path(sys.argv[1]))
    attempt = await store.begin_parts("parts")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    for put in (store.put("large", bytes(1_500_000)), store.put_part("parts", attempt, 1, bytes(1_500_000))):
        try:
            await put
        except StoreFullError as error:
            print(error.detail)
    await store.put("small", b"fits")

asyncio.run(main())
"""  # noqa: E501


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> FilesystemObjectStore:
    return FilesystemObjectStore(root)


def scraps(root: Path) -> list[str]:
    return [*os.listdir(root / ".tmp"), *os.listdir(root / ".parts")]


async def soon(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 (another process is watched)
            await asyncio.sleep(0.01)


async def test_symbolic_links_inside_the_root_lead_nowhere(
    store: FilesystemObjectStore, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "dangling").symlink_to(outside / "planted")
    for key in ("file", "folder/secret", "dangling"):
        with pytest.raises(ObjectMissingError):
            await store.head(key)
        with pytest.raises(ObjectMissingError):
            await read_all(store, key)
    for key in ("file", "folder/new", "folder/secret", "dangling"):
        with pytest.raises(InvalidKeyError):
            await store.put(key, b"x")
    for prefix in ("", "folder/", "file"):
        assert [info async for info in store.scan(prefix)] == []
    await store.delete("folder/secret")
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


async def test_files_that_no_key_can_name_are_not_listed(
    store: FilesystemObjectStore, root: Path
) -> None:
    for name in ("lost+found", ".DS_Store", "with space"):
        (root / name).write_bytes(b"")
    await store.put("object", b"x")
    assert [info.key async for info in store.scan("")] == ["object"]


async def test_killed_in_the_middle_of_a_put_leaves_no_object(
    store: FilesystemObjectStore, root: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PUT_A_FILE, str(root), str(pipe)
    )
    try:
        with pipe.open("wb") as feed:
            feed.write(bytes(4_000_000))
            feed.flush()
            await soon(lambda: any(f.stat().st_size > 1_000_000 for f in (root / ".tmp").iterdir()))
    finally:
        writer.kill()
        assert await writer.wait() == -signal.SIGKILL
    with pytest.raises(ObjectMissingError):
        await store.head("packages/p/1.m4s")
    assert [info async for info in store.scan("")] == []
    assert len(scraps(root)) == 1
    assert await store.sweep(3600) == 0
    assert await store.sweep(0) == 1
    assert scraps(root) == []
    assert (await store.put("packages/p/1.m4s", b"again")).created


async def test_full_disk_is_said_to_be_full_and_leaves_no_scraps(
    store: FilesystemObjectStore, root: Path
) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FILL_THE_DISK, str(root), stdout=subprocess.PIPE
    )
    said, _ = await writer.communicate()
    assert said.count(b"no room left") == 2
    assert writer.returncode == 0
    assert os.listdir(root / ".tmp") == []
    assert [info.key async for info in store.scan("")] == ["small"]


async def test_store_whose_root_is_gone_is_unavailable_not_empty(
    store: FilesystemObjectStore, root: Path
) -> None:
    os.rename(root, f"{root}-unmounted")
    for call in (store.head("k"), store.put("k", b"x"), store.check(), read_all(store, "k")):
        with pytest.raises(StoreUnavailableError):
            await call
    with pytest.raises(StoreUnavailableError):
        assert [info async for info in store.scan("")] == []


async def test_deletion_removes_directories_that_became_empty(
    store: FilesystemObjectStore, root: Path
) -> None:
    await store.put("a/b/c/d", b"x")
    await store.put("a/e", b"x")
    await store.delete("a/b/c/d")
    assert sorted(path.name for path in (root / "a").iterdir()) == ["e"]
    await store.delete("a/e")
    assert sorted(os.listdir(root)) == [".parts", ".tmp"]


async def test_object_lies_where_local_path_says(store: FilesystemObjectStore) -> None:
    await store.put("a/b", b"x")
    path = store.local_path("a/b")
    assert path is not None
    assert path.read_bytes() == b"x"


async def test_completion_cut_off_before_its_last_step_is_finished_by_the_next(
    store: FilesystemObjectStore, root: Path
) -> None:
    attempt = await store.begin_parts("k")
    tag = await store.put_part("k", attempt, 1, b"bytes")
    os.link(root / ".parts" / attempt, root / "k")
    with pytest.raises(AttemptMissingError):
        await store.put_part("k", attempt, 1, b"other")
    result = await store.complete_parts("k", attempt, [tag])
    assert not result.created
    assert result.info.size_bytes == 5
    assert await read_all(store, "k") == b"bytes"
    assert scraps(root) == []


async def test_late_writer_of_a_part_never_changes_the_published_object(
    store: FilesystemObjectStore,
) -> None:
    async def complete(key: str, attempt: str, tag: str) -> str:
        return (await store.complete_parts(key, attempt, [tag])).info.key

    for number in range(30):
        key = f"sources/{number}"
        attempt = await store.begin_parts(key)
        tag = await store.put_part(key, attempt, 1, b"a" * 100_000)
        calls = [store.put_part(key, attempt, 1, b"b" * 100_000) for _ in range(4)]
        position = number % 3
        calls.insert(position, complete(key, attempt, tag))
        done = await asyncio.gather(*calls, return_exceptions=True)
        if isinstance(done[position], BaseException):
            assert isinstance(done[position], InvalidPartsError)
        else:
            assert await read_all(store, key) == b"a" * 100_000


async def test_of_concurrent_completions_of_one_key_exactly_one_wins(
    store: FilesystemObjectStore, root: Path
) -> None:
    attempts = [await store.begin_parts("k") for _ in range(8)]
    tags = [await store.put_part("k", a, 1, b"x" * (n + 1)) for n, a in enumerate(attempts)]
    results = await asyncio.gather(
        *(store.complete_parts("k", a, [t]) for a, t in zip(attempts, tags, strict=True))
    )
    winners = [n for n, result in enumerate(results) if result.created]
    assert len(winners) == 1
    assert {result.info.size_bytes for result in results} == {winners[0] + 1}
    assert scraps(root) == []


def test_short_part_in_the_middle_of_a_sparse_file_is_refused(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    attempt = files.begin()
    tags = [files.put(attempt, number, b"short") for number in (1, 2)]
    assert (tmp_path / attempt).stat().st_size == PART_SIZE_BYTES + 5
    with pytest.raises(InvalidPartsError, match="Part 1 is short"), files.joined(attempt, tags):
        pass


async def test_event_loop_stays_free_while_a_large_file_is_stored(
    store: FilesystemObjectStore, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(64 * 1024 * 1024))
    put = asyncio.create_task(store.put("k", source))
    turns = 0
    while not put.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert (await put).created
    assert turns >= 10
