"""Wires the packager."""

import asyncio
import re
from contextlib import AsyncExitStack
from functools import partial

from reelay.common.database import Database
from reelay.common.http import create_app, serve
from reelay.common.messaging import Messaging
from reelay.common.migrations import migrate
from reelay.common.outbox import Outbox
from reelay.common.range_reader import RangeReader
from reelay.common.scratch import sweep_scratch
from reelay.common.service import background
from reelay.common.storage import assert_works, open_store
from reelay.common.tokens import TokenVerifier
from reelay.common.upkeep import collect_for_ever
from reelay.common.upkeep_http import upkeep_router
from reelay.packager.adapters.ffprobe import FFprobe
from reelay.packager.adapters.process import run_program
from reelay.packager.adapters.shaka import ShakaPackager
from reelay.packager.adapters.sources import SourceReader
from reelay.packager.domain.demand import DemandBoard
from reelay.packager.entrypoints.events import (
    listen_to_encoders,
    listen_to_videos,
    listen_to_viewers,
)
from reelay.packager.handlers.bookkeeping import Bookkeeping
from reelay.packager.handlers.census import EncoderCensus
from reelay.packager.handlers.collecting import Collecting
from reelay.packager.handlers.demanding import Demanding
from reelay.packager.handlers.dispatching import Dispatcher
from reelay.packager.handlers.packaging import Packaging
from reelay.packager.handlers.planning import Planning
from reelay.packager.handlers.repairing import Repairing
from reelay.packager.handlers.rewriting import Rewriting
from reelay.packager.handlers.upkeep import Upkeep
from reelay.packager.handlers.verifying import Verifying
from reelay.packager.settings import PackagerSettings


async def main(settings: PackagerSettings) -> None:
    """Run the packager until it is asked to stop."""
    await migrate(settings.database_url, "reelay.packager")
    await asyncio.to_thread(sweep_scratch)
    store = open_store(settings.store_url)
    database = Database(settings.database_url)
    messaging = Messaging(settings.nats_url, "packager")
    outbox = Outbox(database, messaging)
    census = EncoderCensus()
    board = DemandBoard()
    dispatcher = Dispatcher(census, board)
    demanding = Demanding(outbox, dispatcher, board)
    books = Bookkeeping(outbox, store, dispatcher)
    repairing = Repairing(outbox, store, dispatcher)
    packaging = Packaging(store, ShakaPackager(settings.shaka), books, repairing, messaging.tell)
    ffprobe = FFprobe(settings.ffprobe)
    sources = RangeReader(store)
    reader = SourceReader(store, sources, ffprobe, settings.ffmpeg, settings.max_duration_s)
    planning = Planning(outbox, store, reader, dispatcher, await versions(settings))
    check = partial(assert_works, store)
    rewriting = Rewriting(outbox, store, planning, check)

    listen_to_videos(messaging, planning, rewriting, check)
    listen_to_encoders(messaging, packaging, books, census, check)
    listen_to_viewers(messaging, demanding)

    collecting = Collecting(database, outbox, store, settings.gc_grace_s)
    app = create_app(
        "packager",
        {"database": database.check, "broker": messaging.check, "store": store.check},
    )
    verify_header = TokenVerifier(store).verify_header
    verifying = Verifying(outbox, store, repairing)
    app.include_router(upkeep_router("/api/v1/packages", verify_header, collecting, verifying))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        stack.push_async_callback(store.aclose)
        await sources.start()
        stack.push_async_callback(sources.stop)
        await messaging.start()
        stack.push_async_callback(messaging.stop)
        upkeep = Upkeep(outbox, messaging, dispatcher, books)
        await stack.enter_async_context(
            background(
                outbox.run(),
                packaging.run(),
                upkeep.run(),
                demanding.run(),
                rewriting.run(),
                collect_for_ever(collecting, settings.gc_interval_s),
            )
        )
        await serve(app, settings.host, settings.port)


async def versions(settings: PackagerSettings) -> dict[str, str]:
    """Return the versions of the programs that decide the output; they are part of the recipe."""
    found = {}
    for name, binary, option in (
        ("ffmpeg", settings.ffmpeg, "-version"),
        ("shaka", settings.shaka, "--version"),
    ):
        done = await run_program([binary, option], timeout_s=20)
        match = re.search(r"version\s+(\S+)", done.stdout.decode(errors="replace"))
        found[name] = match.group(1) if match else "unknown"
    return found
