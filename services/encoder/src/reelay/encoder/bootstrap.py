"""The only place where the encoder is wired."""

from contextlib import AsyncExitStack
from functools import partial

import structlog

from reelay.common import http
from reelay.common.messaging import Messaging
from reelay.common.range_reader import RangeReader
from reelay.common.service import background
from reelay.common.storage import open_store
from reelay.encoder.adapters.ffmpeg import FFmpegTranscoder
from reelay.encoder.adapters.lane_gate import LaneGate
from reelay.encoder.adapters.process import Limits
from reelay.encoder.adapters.providers import assert_provider, find_abilities
from reelay.encoder.domain.command import Machine
from reelay.encoder.entrypoints.events import SERVICE, announce_life, listen
from reelay.encoder.fitness import Fitness
from reelay.encoder.settings import EncoderSettings

log = structlog.get_logger()


async def main(settings: EncoderSettings) -> None:
    """Run the encoder until it is asked to stop."""
    abilities = await find_abilities(settings.ffmpeg)
    log.info("encoder ready", providers=abilities.providers, version=abilities.version)
    store = open_store(settings.store_url)
    messaging = Messaging(settings.nats_url, SERVICE)
    sources = RangeReader(store)
    machine = Machine(settings.thread_count(), abilities.tonemap)
    lanes = LaneGate(settings.longest_pause_s)
    transcoder = FFmpegTranscoder(settings.ffmpeg, machine, limits(settings), sources, lanes)
    fitness = Fitness(abilities.providers, store, partial(assert_provider, settings.ffmpeg))
    listen(messaging, fitness, transcoder, store)
    app = http.create_app(SERVICE, {"broker": messaging.check, "store": store.check})
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.aclose)
        await sources.start()
        stack.push_async_callback(sources.stop)
        stack.push_async_callback(messaging.stop)
        await messaging.start()
        alive = announce_life(messaging, fitness, abilities.version)
        await stack.enter_async_context(background(alive))
        await http.serve(app, settings.host, settings.port)


def limits(settings: EncoderSettings) -> Limits:
    """Return what one FFmpeg may use."""
    return Limits(
        memory_bytes=settings.memory_limit_bytes,
        wall_s=settings.wall_limit_s,
        no_progress_s=settings.no_progress_limit_s,
    )
