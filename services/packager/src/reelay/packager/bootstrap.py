"""Wires the packager."""

import re
from contextlib import AsyncExitStack

from reelay.common.commands import EncoderAlive, Lane, SegmentDemanded
from reelay.common.database import Database, migrate
from reelay.common.events import PackageRequested, SegmentFailed, VideoDeleted
from reelay.common.http import create_app, serve
from reelay.common.messaging import Messaging
from reelay.common.outbox import Outbox
from reelay.common.service import background
from reelay.common.storage import open_store
from reelay.common.streams import fact_consumer
from reelay.common.tokens import TokenVerifier
from reelay.common.upkeep import collect_for_ever
from reelay.common.upkeep_http import upkeep_router
from reelay.packager.adapters.ffprobe import FFprobe
from reelay.packager.adapters.process import run_program
from reelay.packager.adapters.shaka import ShakaPackager
from reelay.packager.adapters.sources import SourceReader
from reelay.packager.bookkeeping import Bookkeeping
from reelay.packager.census import EncoderCensus
from reelay.packager.collecting import Collecting
from reelay.packager.demanding import Demanding
from reelay.packager.dispatching import Dispatcher
from reelay.packager.domain.demand import DemandBoard
from reelay.packager.packaging import Packaging
from reelay.packager.planning import Planning
from reelay.packager.repairing import Repairing
from reelay.packager.settings import PackagerSettings
from reelay.packager.upkeep import Upkeep, made_consumer
from reelay.packager.verifying import Verifying

AT_ONCE = {Lane.ONDEMAND: 4, Lane.OPENING: 4, Lane.LADDER: 12}
"""Finished segments of each lane that are taken at a time; they share calls of the packager."""


async def main(settings: PackagerSettings) -> None:
    """Run the packager until it is asked to stop."""
    await migrate(settings.database_url, "reelay.packager")
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
    reader = SourceReader(store, ffprobe, settings.ffmpeg, settings.max_duration_s)
    planning = Planning(outbox, store, reader, dispatcher, await versions(settings))

    plan = fact_consumer("packager", "plan-package", PackageRequested.subject, batch=4)
    fail = fact_consumer("packager", "fail-package", SegmentFailed.subject)
    forget = fact_consumer("packager", "forget-video", VideoDeleted.subject)
    messaging.on(plan, planning.plan_package, give_up=planning.give_up)
    for lane in Lane:  # a consumer each: nothing urgent waits behind a batch of the ladder
        package = made_consumer(lane, batch=AT_ONCE[lane])
        messaging.on(package, packaging.package_segment, give_up=packaging.give_up)
    messaging.on(fail, books.fail_package)
    messaging.on(forget, planning.forget_video)
    messaging.on_plain(EncoderAlive, census.hear)
    messaging.on_plain(SegmentDemanded, demanding.hear)

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
        await messaging.start()
        stack.push_async_callback(messaging.stop)
        upkeep = Upkeep(outbox, messaging, dispatcher, books)
        await stack.enter_async_context(
            background(
                outbox.run(),
                packaging.run(),
                upkeep.run(),
                demanding.run(),
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
