"""Memory that a process needs to move a large object into each store and out again."""

import asyncio
import subprocess
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

from benchmarks.machine import Figure
from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage import ObjectStore, open_store
from reelay.common.testing.s3 import start_seaweedfs

MIB = 2**20
SMALL_BYTES = 64 * MIB
MOST_MIB = 64.0
"""How much more a large object may need than a small one."""
WAYS = ("put", "parts", "read")


def measure(large_bytes: int) -> list[Figure]:
    """Move a small and a large object by every way; return the difference of the peaks."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="reelay-storage-") as folder:
        place = Path(folder)
        with start_seaweedfs(place) as s3:
            for name, url in (("filesystem", (place / "store").as_uri()), ("SeaweedFS", s3)):
                small, large = (_peaks(url, place, size) for size in (SMALL_BYTES, large_bytes))
                for way in WAYS:
                    more = (large[way] - small[way]) / MIB
                    title = f"peak memory of {way}, {large_bytes / 2**30:.1f} GiB, {name}"
                    figures.append(Figure(title, "MiB", [large[way] / MIB]))
                    figures.append(
                        Figure(
                            f"… more than for {SMALL_BYTES // MIB} MiB", "MiB", [more],
                            f"≤ {MOST_MIB:.0f}", more <= MOST_MIB,
                        )
                    )  # fmt: skip
    return figures


def _peaks(url: str, place: Path, size_bytes: int) -> dict[str, int]:
    """Return the peak resident memory of each way, each in a process of its own, in bytes."""
    return {way: _peak(url, place, way, size_bytes) for way in WAYS}


def _peak(url: str, place: Path, way: str, size_bytes: int) -> int:
    argv = [sys.executable, "-m", "benchmarks.storage_memory", url, str(place), way]
    done = subprocess.run([*argv, str(size_bytes)], check=True, capture_output=True, text=True)
    return int(done.stdout)


async def move(store: ObjectStore, place: Path, way: str, size_bytes: int) -> None:
    """Move an object of this size one way; `read` finds what `put` left.

    Nothing is deleted: SeaweedFS would then compact its volumes, and hold writes up meanwhile.
    """
    if way == "put":
        source = place / "source"
        with source.open("wb") as file:
            file.truncate(size_bytes)  # a hole: nothing but its length has to be written
        assert (await store.put(f"put/{size_bytes}", source)).created
        source.unlink()
    elif way == "parts":
        key = f"parts/{size_bytes}"
        attempt = await store.begin_parts(key)
        tags: list[str] = []
        for start in range(0, size_bytes, PART_SIZE_BYTES):
            part = bytes(min(PART_SIZE_BYTES, size_bytes - start))
            tags.append(await store.put_part(key, attempt, len(tags) + 1, part))
        assert (await store.complete_parts(key, attempt, tags)).created
    else:
        read = 0
        async for block in store.read(f"put/{size_bytes}"):
            read += len(block)
        assert read == size_bytes


async def _move_and_close(store: ObjectStore, place: Path, way: str, size_bytes: int) -> None:
    async with aclosing(store):
        await move(store, place, way, size_bytes)


def main() -> None:
    """Move one object, and print the most memory that this process ever had, in bytes."""
    url, place, way, size_bytes = sys.argv[1:]
    asyncio.run(_move_and_close(open_store(url), Path(place), way, int(size_bytes)))
    # Not ru_maxrss, which begins with the memory of the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
