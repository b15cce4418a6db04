"""Follows a video on the server: events say when to look, the video itself says what is true."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

from reelay.cli.api import Api, Video, pause
from reelay.cli.errors import ServerRefusedError, ServerUnreachableError
from reelay.cli.tus import PASSING, Patience
from reelay.common.tasks import end

LOOK_AT_LEAST_EVERY_S = 5.0
LOOK_AT_MOST_EVERY_S = 0.15
FINAL = ("ready", "failed")


async def follow(api: Api, video_id: str, patience: Patience) -> AsyncGenerator[Video, None]:
    """Yield the video each time that it may have changed, until it is ready or failed.

    A server that does not answer is asked again with growing delays as long as patience lasts;
    then the last error is raised.
    """
    news = asyncio.Event()
    listening = asyncio.create_task(_listen(api, video_id, news, patience))
    answered_at, delay_s = time.monotonic(), patience.first_delay_s
    try:
        while True:
            news.clear()
            try:
                video = await api.video(video_id)
            except (ServerUnreachableError, ServerRefusedError) as error:
                passes = not isinstance(error, ServerRefusedError) or error.status in PASSING
                if not passes or time.monotonic() - answered_at > patience.give_up_after_s:
                    raise
                await pause(delay_s)
                delay_s = min(delay_s * 2, patience.longest_delay_s)
                continue
            answered_at, delay_s = time.monotonic(), patience.first_delay_s
            yield video
            if video.state in FINAL:
                return
            await pause(LOOK_AT_MOST_EVERY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_AT_LEAST_EVERY_S)
    finally:
        await end(listening)


async def _listen(api: Api, video_id: str, news: asyncio.Event, patience: Patience) -> None:
    """Set `news` at every event; without events, looking now and then must do."""
    delay_s = patience.first_delay_s
    while True:
        with contextlib.suppress(ServerUnreachableError, ServerRefusedError):
            async with contextlib.aclosing(api.events(video_id)) as events:
                async for _ in events:
                    delay_s = patience.first_delay_s
                    news.set()
        # What happened between two streams is seen by looking.
        news.set()
        await pause(delay_s)
        delay_s = min(delay_s * 2, patience.longest_delay_s)
