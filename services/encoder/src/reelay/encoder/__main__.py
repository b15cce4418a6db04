import asyncio, os
from contextlib import AsyncExitStack
from pydantic_settings import SettingsConfigDict
from pydantic import ValidationError
from reelay.common.settings import ServiceSettings
from reelay.common.messaging import Messaging
from reelay.common.events import *
from reelay.common.streams import work_consumer
from reelay.common.storage import open_store
from reelay.common.http import create_app, serve
from reelay.common.service import run, background
from reelay.encoder.handlers import encode_chunk, give_up_chunk
from reelay.encoder.adapters.ffmpeg import FFmpegTranscoder
from reelay.encoder.adapters.source_reader import RangeReader
from reelay.encoder.adapters.process import Limits
from reelay.encoder.domain.command import Machine


class S(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ENCODER_")
    ffmpeg: str = "ffmpeg"


async def main(s):
    store = open_store(s.store_url)
    m = Messaging(s.nats_url, "encoder")
    reader = RangeReader(store)
    await reader.start()
    t = FFmpegTranscoder(
        s.ffmpeg, Machine(threads=2, tonemap=True), Limits(8 << 30, 3600, 60), reader
    )

    async def announce(e, i):
        await m.publish(e, message_id=i)

    async def handle(task: EncodeChunk) -> None:
        await encode_chunk(task, t, store, announce)

    async def give_up(body, err):
        await give_up_chunk(EncodeChunk.model_validate_json(body), err, announce)

    for lane in Lane:
        m.on(work_consumer("software", lane), handle, give_up=give_up)
    async with AsyncExitStack() as st:
        await m.start()
        st.push_async_callback(m.stop)

        async def alive():
            while True:
                await m.tell(
                    EncoderAlive(
                        encoder_id=str(os.getpid()), providers=["software"], encoder_version="x"
                    )
                )
                await asyncio.sleep(1)

        await st.enter_async_context(background(alive()))
        await serve(create_app("encoder", {"broker": m.check}), s.host, s.port)


s = S()
run("encoder", s, lambda: main(s))
