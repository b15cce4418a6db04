"""What the cache keeps on disk: for the next process, damaged, outdated, beside other processes."""

import os
import time
from pathlib import Path

import pytest

from reelay.content_api.adapters.cache_folder import (
    FORGOTTEN_S,
    PREFIX,
    CacheFolder,
    NoCacheFolderError,
)
from reelay.content_api.adapters.copies import RECHECK_S
from reelay.content_api.adapters.object_cache import VERIFY_S

from .caching import LARGE, Clock, Machine, RemoteStore, content, key

pytestmark = pytest.mark.integration


async def test_process_that_starts_again_finds_what_it_had(
    machine: Machine, remote: RemoteStore
) -> None:
    cache, data = await machine.start_with("a")
    cache = await machine.restart(cache)
    assert await content(cache, "a") == data
    assert remote.reads["a"] == 1
    assert len(machine.files()) == 1


async def test_unfinished_files_of_a_killed_process_are_removed(machine: Machine) -> None:
    await machine.end(machine.start())
    folder = next(machine.directory.iterdir())
    (folder / "unfinished" / "0").write_bytes(b"x")
    os.mkfifo(folder / "pipes" / "0")
    (folder / "objects" / "stray").write_bytes(b"x")
    machine.start()
    assert not [path for path in folder.glob("*/*")]


@pytest.mark.parametrize("damage", ["other bytes", "shorter", "gone"])
@pytest.mark.parametrize("started_again", [True, False])
async def test_damaged_file_is_dropped_and_fetched_again(
    machine: Machine, remote: RemoteStore, damage: str, started_again: bool
) -> None:
    cache, data = await machine.start_with("a")
    (file,) = machine.files()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"y" * (LARGE if damage == "other bytes" else 10))
    if started_again:
        cache = await machine.restart(cache)
    assert await content(cache, "a") == data
    assert remote.reads["a"] == 2
    assert len(machine.files()) == 1


async def test_silent_damage_is_found_when_the_digest_is_compared_again(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache, data = await machine.start_with("a")
    (file,) = machine.files()
    status = file.stat()
    file.write_bytes(b"y" * LARGE)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    clock.time_s += VERIFY_S + 1
    assert await content(cache, "a") == data


async def test_deleted_object_is_noticed_later_and_after_a_restart(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    for name in "abc":
        await remote.put(key(name), name.encode() * LARGE)
        await content(cache, name)
    await remote.delete(key("a"))
    clock.time_s += RECHECK_S + 1
    assert cache.peek(key("a")) is None
    assert await content(cache, "a") is None
    assert await content(cache, "b") == b"b" * LARGE
    await remote.delete(key("c"))
    cache = await machine.restart(cache)
    assert await content(cache, "c") is None
    assert len(machine.files()) == 1
    assert remote.reads["b"] == 1


def test_processes_on_one_machine_never_share_a_folder_and_stores_neither(tmp_path: Path) -> None:
    first, second = CacheFolder(tmp_path, "s3://a:b@h/x"), CacheFolder(tmp_path, "s3://a:b@h/x")
    other = CacheFolder(tmp_path, "s3://a:b@h/y")
    assert len({first.path, second.path, other.path}) == 3
    first.close()
    again = CacheFolder(tmp_path, "s3://new:secret@h/x")
    assert again.path == first.path
    for folder in (second, other, again):
        folder.close()


def test_folder_that_others_could_write_to_is_not_used(tmp_path: Path) -> None:
    mine = CacheFolder(tmp_path, "s3://a:b@h/x")
    mine.close()
    mine.path.chmod(0o777)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    second = mine.path.with_name(mine.path.name[:-1] + "1")
    second.symlink_to(tmp_path / "elsewhere")
    third = CacheFolder(tmp_path, "s3://a:b@h/x")
    assert third.path not in (mine.path, second)
    third.close()


def test_directory_without_any_usable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((NoCacheFolderError, OSError)):
        CacheFolder(tmp_path / "file", "s3://a:b@h/x")


def test_folders_of_processes_that_ended_long_ago_are_removed(tmp_path: Path) -> None:
    folders = [CacheFolder(tmp_path, f"s3://a:b@h/{n}") for n in range(3)]
    folders[0].close()
    folders[1].close()
    past = time.time() - FORGOTTEN_S - 10
    for folder in (folders[0], folders[2]):
        os.utime(folder.path, (past, past))
    CacheFolder(tmp_path, "s3://a:b@h/x").close()
    assert not folders[0].path.exists()
    assert folders[1].path.exists()
    assert folders[2].path.exists()
    assert all(path.name.startswith(PREFIX) for path in tmp_path.iterdir())
    folders[2].close()
