"""Wires the content API."""

import asyncio
import sys
from contextlib import AsyncExitStack

from reelay.common import http
from reelay.common.messaging import Messaging
from reelay.common.service import background
from reelay.common.storage import ObjectStore, open_store
from reelay.content_api.adapters.access_feed import AccessFeed
from reelay.content_api.adapters.broker import BrokerDemand
from reelay.content_api.adapters.cache_folder import CacheFolder
from reelay.content_api.adapters.copies import Copies
from reelay.content_api.adapters.derived_files import DerivedFiles
from reelay.content_api.adapters.digests import StoredDigests
from reelay.content_api.adapters.download_feeds import DownloadFeeds
from reelay.content_api.adapters.failures import StoredFailures
from reelay.content_api.adapters.feeds import PipeFeeds
from reelay.content_api.adapters.local_files import LocalFiles
from reelay.content_api.adapters.marks import StoredMarks
from reelay.content_api.adapters.object_cache import ObjectCache
from reelay.content_api.adapters.pipes import FileThreads
from reelay.content_api.adapters.plans import StoredPlans
from reelay.content_api.adapters.tokens import VerifiedTokens
from reelay.content_api.adapters.whole_packages import StoredPackages
from reelay.content_api.domain.access import Restrictions
from reelay.content_api.domain.names import plan_key
from reelay.content_api.domain.ports import Demand, Files
from reelay.content_api.entrypoints.delivery import Delivery
from reelay.content_api.entrypoints.downloading import Downloading
from reelay.content_api.entrypoints.events import answer, listen
from reelay.content_api.entrypoints.recent import RecentAnswers
from reelay.content_api.entrypoints.rsgi import Application
from reelay.content_api.entrypoints.streams import Streams
from reelay.content_api.handlers.admission import Admission
from reelay.content_api.handlers.assembling import Assembler
from reelay.content_api.handlers.audience import Audience
from reelay.content_api.handlers.downloads import Downloads
from reelay.content_api.handlers.library import Library
from reelay.content_api.handlers.waiting import WaitingLimits, WaitingRoom
from reelay.content_api.settings import ContentApiSettings

MAX_FEEDS = 12
"""Answers from objects under way at a time. Each may keep one of the server's file threads waiting
for the store, so some are always left for files (see http.ConnectionLimits)."""
SWITCH_S = 0.0005
"""How long a thread that writes, hashes or reads a request may keep the interpreter while others
wait for it; Python's 5 ms are longer than a whole fetch."""


async def main(settings: ContentApiSettings) -> None:
    """Serve until the process is asked to stop."""
    sys.setswitchinterval(SWITCH_S)
    async with AsyncExitStack() as stack:
        store = open_store(settings.store_url)
        stack.push_async_callback(store.aclose)
        folder = CacheFolder(settings.cache_dir, settings.store_url)
        stack.callback(folder.close)
        messaging = Messaging(settings.nats_url, "content-api")
        demand = BrokerDemand(messaging)
        files = open_files(store, folder, settings, stack)
        library = open_library(store, files, demand, settings)
        downloads = open_downloads(store, files, library, folder, settings)
        restrictions = Restrictions()
        feed = AccessFeed(messaging, restrictions, library.waiting.dismiss)
        audience = Audience()
        listen(messaging, library, downloads)
        answer(messaging, audience, demand.tell_viewers)
        files.when_made_again(downloads.forget)
        stack.push_async_callback(messaging.stop)
        # The broker is no part of readiness: without it everything that exists is served.
        await stack.enter_async_context(
            background(demand.connect(), feed.run(demand.connected), close_on_stop(library.waiting))
        )
        admission = Admission(restrictions, StoredMarks(store), VerifiedTokens(store))
        app = build_application(store, library, downloads, admission, audience, folder, settings)
        await serve(app, settings)


def open_files(
    store: ObjectStore, folder: CacheFolder, settings: ContentApiSettings, stack: AsyncExitStack
) -> Files:
    """Return the store's own files, or a cache of a store that has none on this machine."""
    if store.local_path(plan_key("0" * 64)) is not None:
        return LocalFiles(store, settings.memory_bytes)
    copies = Copies(folder, settings.cache_bytes, settings.memory_bytes)
    cache = ObjectCache(store, folder, StoredDigests(store), copies)
    stack.push_async_callback(cache.close)
    return cache


def open_library(
    store: ObjectStore, files: Files, demand: Demand, settings: ContentApiSettings
) -> Library:
    """Return the packages, and the room where requests wait for what is promised of them."""
    limits = WaitingLimits(
        wait_s=settings.wait_s,
        repeat_s=settings.repeat_s,
        total=settings.max_waiting,
        per_package=settings.max_waiting_per_package,
    )
    return Library(files, StoredPlans(store), StoredFailures(store), demand, limits)


def open_downloads(
    store: ObjectStore,
    files: Files,
    library: Library,
    folder: CacheFolder,
    settings: ContentApiSettings,
) -> Downloads:
    """Return what is put together from packages; its headers lie in the cache's folder."""
    derived = DerivedFiles(folder.derived)
    assembler = Assembler(files, derived)
    return Downloads(library, StoredPackages(store), assembler, derived, settings.header_bytes)


def build_application(
    store: ObjectStore,
    library: Library,
    downloads: Downloads,
    admission: Admission,
    audience: Audience,
    folder: CacheFolder,
    settings: ContentApiSettings,
) -> Application:
    """Return what answers requests; on the loop that is running its answers are looked up anew."""
    threads, streams = FileThreads(MAX_FEEDS), Streams()
    delivery = Delivery(PipeFeeds(folder.pipes, threads), streams)
    feeds = DownloadFeeds(folder.pipes, settings.max_downloads, threads)
    downloading = Downloading(downloads, feeds, delivery)
    call_soon = asyncio.get_running_loop().call_soon_threadsafe
    recent = RecentAnswers(admission.is_open, library.at_hand, streams, call_soon)
    checks = {"store": store.check}
    return Application(library, admission, audience, delivery, downloading, recent, checks)


async def serve(app: Application, settings: ContentApiSettings) -> None:
    """Answer requests until the process is asked to stop."""
    limits = http.ConnectionLimits(
        head_timeout_s=settings.head_timeout_s,
        stalled_s=settings.stalled_s,
        connections=settings.max_connections,
    )
    await http.serve(app, settings.host, settings.port, interface="rsgi", limits=limits)


async def close_on_stop(waiting: WaitingRoom) -> None:
    """Send away those who wait when the process is asked to stop, so that it can."""
    while True:
        await http.stopping.wait()
        waiting.close()
        await asyncio.sleep(http.STOP_TIMEOUT_S)
