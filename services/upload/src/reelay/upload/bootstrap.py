"""The only place where the upload service is wired."""

import asyncio
from contextlib import AsyncExitStack

from fastapi import FastAPI

from reelay.common import http
from reelay.common.database import Database
from reelay.common.messaging import Messaging
from reelay.common.migrations import migrate
from reelay.common.outbox import Outbox
from reelay.common.service import background
from reelay.common.storage import ObjectStore, open_store
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.storage.signed_http import signed_router
from reelay.common.tokens import TokenVerifier
from reelay.common.upkeep import collect_for_ever
from reelay.common.upkeep_http import upkeep_router
from reelay.upload.adapters import wanted
from reelay.upload.adapters.announcements import PostgresAnnouncements
from reelay.upload.adapters.drafts import PostgresDrafts
from reelay.upload.adapters.guarded_http import GuardedFetcher
from reelay.upload.adapters.holding import PostgresHolding
from reelay.upload.adapters.imports import PostgresImports
from reelay.upload.adapters.link_proof import LinkProof
from reelay.upload.adapters.resolving import SystemResolver
from reelay.upload.adapters.sources import PostgresSources
from reelay.upload.adapters.spool import FileSpool
from reelay.upload.adapters.uploads import PostgresUploads
from reelay.upload.domain.addresses import AddressGuard
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.ports import Drafts, Holding, Uploads
from reelay.upload.entrypoints.events import SERVICE, listen
from reelay.upload.entrypoints.http import UploadEndpoints, add_uploads
from reelay.upload.entrypoints.imports import imports_router
from reelay.upload.entrypoints.presigned import presigned_router
from reelay.upload.entrypoints.signed import collector
from reelay.upload.handlers.collecting import Collecting
from reelay.upload.handlers.completion import Completion
from reelay.upload.handlers.creation import Creation
from reelay.upload.handlers.drafting import Drafting
from reelay.upload.handlers.fetching import Fetching
from reelay.upload.handlers.import_queue import ImportQueue, Persistence
from reelay.upload.handlers.importing import Importing
from reelay.upload.handlers.joining import Joining
from reelay.upload.handlers.memory import PartMemory
from reelay.upload.handlers.part_queue import Means
from reelay.upload.handlers.presigning import Presigning
from reelay.upload.handlers.receiving import Receiving
from reelay.upload.handlers.remote_body import Pace
from reelay.upload.handlers.sweeping import Sweeping
from reelay.upload.handlers.tidying import Tidying
from reelay.upload.handlers.uploading import Uploading
from reelay.upload.handlers.verifying import Verifying
from reelay.upload.settings import UploadSettings

RECEIVE_BUFFER_BYTES = 44 * 1024
"""What is handed over at a time, and a bound for the head of a request.

Each hand-over costs some 200 us, so 16 KiB reach 70 MiB/s, 48 KiB 150, 64 KiB 172 and 256 KiB 280;
but each of hundreds of senders holds some of them: 48 KiB once took 201 MB for 200 of them.
"""


async def main(settings: UploadSettings) -> None:
    """Run the service until it is asked to stop."""
    await migrate(settings.database_url, "reelay.upload")
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        store = open_store(settings.store_url)
        stack.push_async_callback(store.aclose)
        messaging = Messaging(settings.nats_url, SERVICE)
        outbox = Outbox(database, messaging)
        holding = PostgresHolding(settings.database_url)
        stack.push_async_callback(holding.close)

        drafts = PostgresDrafts(database)
        limits = Limits(settings.max_size_bytes, settings.quota_bytes, settings.max_unfinished)
        uploads = PostgresUploads(database, outbox, limits)
        memory = PartMemory(lambda: FileSpool(settings.spool_dir))
        uploading = wire_uploading(store, uploads, drafts, holding, limits, memory)
        stack.push_async_callback(uploading.joining.close)
        listen(messaging, Drafting(drafts))
        wanted.connect(holding, messaging)
        stack.push_async_callback(messaging.stop)
        await messaging.start()

        sweeping = Sweeping(
            store, uploads, holding, uploading, settings.expires_after_s, settings.sweep_interval_s
        )
        checks = {"database": database.check, "broker": messaging.check, "store": store.check}
        app = http.create_app(SERVICE, checks)
        add_uploads(app, endpoints(uploading, store, settings))
        collecting = add_upkeep(app, database, store, settings)
        add_presigned(app, database, uploading, memory, settings)
        imports = add_imports(app, database, uploading, store, settings)
        stack.push_async_callback(imports.close)
        await stack.enter_async_context(
            background(
                outbox.run(),
                sweeping.run(),
                collect_for_ever(collecting, settings.gc_interval_s),
                imports.run(),
                _let_go_at_the_end(holding, imports),
            )
        )
        await http.serve(
            app, settings.host, settings.port, receive_buffer_bytes=RECEIVE_BUFFER_BYTES
        )


def wire_uploading(
    store: ObjectStore,
    uploads: Uploads,
    drafts: Drafts,
    holding: Holding,
    limits: Limits,
    memory: PartMemory,
) -> Uploading:
    """Return the use cases over these adapters."""
    tidying = Tidying(store, uploads)
    completion = Completion(store, uploads, tidying, memory)
    receiving = Receiving(Means(store, uploads, memory), limits, completion, tidying)
    return Uploading(
        uploads,
        holding,
        limits,
        Creation(drafts, uploads, limits),
        receiving,
        Joining(store, uploads, holding, receiving),
    )


def endpoints(
    uploading: Uploading, store: ObjectStore, settings: UploadSettings
) -> UploadEndpoints:
    """Return the HTTP side of the use cases."""
    return UploadEndpoints(
        uploading,
        TokenVerifier(store).verify_header,
        settings.expires_after_s,
        settings.stall_limit_s,
    )


def add_upkeep(
    app: FastAPI, database: Database, store: ObjectStore, settings: UploadSettings
) -> Collecting:
    """Add the endpoints of collection and verification; return the former's use case."""
    sources = PostgresSources(database)
    collecting = Collecting(database, sources, store, settings.gc_grace_s)
    verify_header = TokenVerifier(store).verify_header
    verifying = Verifying(sources, store)
    app.include_router(upkeep_router("/api/v1/sources", verify_header, collecting, verifying))
    return collecting


def add_presigned(
    app: FastAPI,
    database: Database,
    uploading: Uploading,
    memory: PartMemory,
    settings: UploadSettings,
) -> None:
    """Add the endpoints of presigned uploads, and of the links of a store in a directory."""
    store = uploading.receiving.means.store
    presigning = Presigning(
        PostgresAnnouncements(database),
        store,
        uploading,
        LinkProof(store).check,
        settings.link_expires_s,
    )
    app.include_router(presigned_router(TokenVerifier(store).verify_header, presigning))
    if isinstance(store, FilesystemObjectStore):
        app.include_router(signed_router(store, collector(memory, settings.stall_limit_s)))


def add_imports(
    app: FastAPI,
    database: Database,
    uploading: Uploading,
    store: ObjectStore,
    settings: UploadSettings,
) -> ImportQueue:
    """Add the endpoints of imports; return what works at them."""
    imports, guard = PostgresImports(database), AddressGuard(settings.import_allowed_networks)
    pace = Pace(
        settings.import_stall_limit_s,
        settings.import_least_bytes_per_s,
        settings.import_time_limit_s,
    )
    fetcher = GuardedFetcher(SystemResolver(), guard, settings.import_stall_limit_s)
    fetching = Fetching(imports, fetcher, uploading.receiving, uploading.limits, pace)
    persistence = Persistence(settings.import_tries, settings.import_retry_s)
    queue = ImportQueue(fetching, uploading.holding, persistence, settings.imports_at_a_time)
    importing = Importing(imports, uploading, guard, queue.wake)
    app.include_router(imports_router(TokenVerifier(store).verify_header, importing))
    return queue


async def _let_go_at_the_end(holding: PostgresHolding, imports: ImportQueue) -> None:
    """Let running requests keep what they have when the process is asked to stop."""
    await http.stopping.wait()
    imports.stop()
    holding.let_all_go()
    await asyncio.Event().wait()
