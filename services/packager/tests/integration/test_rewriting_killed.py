"""A packager that is killed while it rewrites a source: the next one does it again."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from reelay.common.events import PackageRequested
from reelay.common.messaging import Messaging
from reelay.common.storage import ObjectStore
from reelay.common.testing.media import Media, ffmpeg_binary
from reelay.common.testing.servers import Program, wait_until

from .packagers import packager_at
from .test_programs import script

pytestmark = pytest.mark.integration


@pytest.fixture
def start(nats: Program, database_url: str, tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Starts the service as a process of its own, with one FFmpeg or another."""
    with ExitStack() as stack:

        def start_one(ffmpeg: str) -> Program:
            program = packager_at(nats.url, database_url, tmp_path, ffmpeg)
            program.start()
            stack.callback(program.kill)
            return program

        yield start_one


def packages(database_url: str) -> list[tuple[str]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT source_key FROM packages").fetchall()


async def test_source_that_a_killed_packager_rewrote_is_planned_by_the_next(
    start: Callable[[str], Program],
    media: Media,
    messaging: Messaging,
    store: ObjectStore,
    database_url: str,
    tmp_path: Path,
) -> None:
    await store.put("sources/one", media.numbered(1, container="ts"))
    note = tmp_path / "note"
    says_version = f'[ "$1" = -version ] && exec "{ffmpeg_binary()}" -version'
    hangs = script(tmp_path / "ffmpeg", says_version, f"touch {note}", "exec sleep 600")
    first = start(hangs)
    await messaging.start()
    await messaging.publish(
        PackageRequested(
            video_id=uuid4(), owner_id="a", asset_id="a" * 64, source_key="sources/one"
        )
    )
    await asyncio.to_thread(wait_until, note.exists, "the source is being rewritten")
    first.kill()
    assert packages(database_url) == []
    start(ffmpeg_binary())
    await asyncio.to_thread(wait_until, lambda: packages(database_url), "the package is planned")
    assert packages(database_url) == [(f"rewritten/{'a' * 64}.mp4",)]
