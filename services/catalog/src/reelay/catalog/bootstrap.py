"""Wires the catalog: the only place that knows all its parts."""

import asyncio
from contextlib import AsyncExitStack

import httpx
from fastapi import FastAPI

from reelay.catalog.accounts import endpoints as account_endpoints
from reelay.catalog.accounts.admin_token import ensure_admin_token
from reelay.catalog.accounts.signing_key import open_signer
from reelay.catalog.cdn.health import CdnHosts
from reelay.catalog.live import endpoints as live_endpoints
from reelay.catalog.live.hub import Hub
from reelay.catalog.live.log import newest_revision
from reelay.catalog.live.signal import Signal, VideosChanged
from reelay.catalog.restrictions.publisher import AccessPublisher
from reelay.catalog.settings import Settings
from reelay.catalog.videos import endpoints as video_endpoints
from reelay.catalog.videos.facts import VideoFacts
from reelay.catalog.videos.playback import Playbacks
from reelay.catalog.videos.recording import Recorder
from reelay.catalog.videos.service import Videos
from reelay.catalog.videos.subscriptions import subscribe
from reelay.common.database import Database
from reelay.common.http import create_app, serve, stopping
from reelay.common.messaging import Messaging
from reelay.common.migrations import migrate
from reelay.common.outbox import Outbox
from reelay.common.service import background
from reelay.common.storage import ObjectStore, open_store
from reelay.common.tokens import TokenSigner, TokenVerifier


async def main(settings: Settings) -> None:
    """Run the catalog until it is told to stop."""
    await migrate(settings.database_url, "reelay.catalog")
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        store = open_store(settings.store_url)
        stack.push_async_callback(store.aclose)
        signer, verifier = await open_accounts(settings, database, store)
        messaging = Messaging(settings.nats_url, "catalog")
        outbox, hub = Outbox(database, messaging), Hub(database)
        restrictions = AccessPublisher(database, messaging, store)
        recorder = Recorder(outbox, hub, Signal(messaging), restrictions)
        hear_facts(messaging, recorder, hub)
        probing = await stack.enter_async_context(httpx.AsyncClient())
        hosts = CdnHosts(settings.cdn_hosts, settings.cdn_probe_s, probing)
        position = await newest_revision(database)
        await messaging.start()
        stack.push_async_callback(messaging.stop)
        await stack.enter_async_context(
            background(
                outbox.run(),
                restrictions.run(),
                hub.run(position),
                hosts.run(),
                close_when_stopping(hub),
            )
        )
        app = create_app(
            "catalog", {"database": database.check, "nats": messaging.check, "store": store.check}
        )
        playbacks = Playbacks(signer, hosts, settings.playback_token_s)
        add_endpoints(app, Videos(database, recorder, playbacks), hub, verifier)
        await serve(app, settings.host, settings.port)


async def open_accounts(
    settings: Settings, database: Database, store: ObjectStore
) -> tuple[TokenSigner, TokenVerifier]:
    """Publish the signing key, write the administrator's token; return signer and verifier."""
    signer, verifier = await open_signer(database, store), TokenVerifier(store)
    if settings.admin_token_file is not None:
        await ensure_admin_token(settings.admin_token_file, signer, verifier)
    return signer, verifier


def hear_facts(messaging: Messaging, recorder: Recorder, hub: Hub) -> None:
    """Subscribe to what other services, and other replicas, tell."""

    async def look(signal: VideosChanged) -> None:
        hub.look(signal.revision)

    subscribe(messaging, VideoFacts(recorder))
    messaging.on_plain(VideosChanged, look)


def add_endpoints(app: FastAPI, videos: Videos, hub: Hub, verifier: TokenVerifier) -> None:
    """Give the application its routes and what they use."""
    app.state.videos, app.state.hub, app.state.verifier = videos, hub, verifier
    for endpoints in (video_endpoints, account_endpoints, live_endpoints):
        app.include_router(endpoints.router)


async def close_when_stopping(hub: Hub) -> None:
    """Let live clients go when the process is asked to stop, so that the server can."""
    await stopping.wait()
    hub.close()
    await asyncio.Event().wait()  # background tasks never end by themselves
