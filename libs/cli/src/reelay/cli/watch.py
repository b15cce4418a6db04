"""Watches a package being made: finds it, hears what happens to it, and shows the map."""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from rich.console import Console

from reelay.cli.api import Api, Video
from reelay.cli.dead_letters import instance_url
from reelay.cli.environment import find_token
from reelay.cli.errors import (
    CommandError,
    InstanceMissingError,
    ServerRefusedError,
    TokenMissingError,
    VideoFailedError,
)
from reelay.cli.status import find_instance
from reelay.cli.watch_asking import until_over
from reelay.cli.watch_package import read_completion, read_package
from reelay.cli.watch_repair import follow_repair, reopen_if_damaged
from reelay.cli.watch_screen import Display, Lines, Screen, attended
from reelay.cli.watch_sources import listen
from reelay.cli.watch_state import WatchState
from reelay.common.message import Message
from reelay.common.tasks import end
from reelay.standalone.settings import Settings

PACKAGE_ID = re.compile(r"[0-9a-f]{64}")
LOOK_EVERY_S = 0.3
"""Interval of looking whether a video has a plan by now."""
REDRAW_AT_MOST_EVERY_S = 0.1
REDRAW_AT_LEAST_EVERY_S = 1.0
"""Time goes on, and what is not heard of any more disappears."""
RECONNECT_FOR_S = 10.0
RECONNECT_EVERY_S = 0.5
INTERRUPTED = 130


class NothingToWatchError(CommandError):
    """There is no video; publish one with `reelay publish FILE`."""


def run(settings: Settings, identity: str | None, *, follow: bool, as_json: bool) -> int:
    """Watch until the package is complete or somebody leaves; return the exit code.

    Raises CommandError; VideoFailedError with the reason when there will be no package.
    """
    find_instance(settings.data)
    try:
        if as_json or not sys.stdout.isatty():
            asyncio.run(Watcher(settings, Lines(), follow=follow).watch(identity))
        else:
            asyncio.run(_attended(Watcher(settings, Screen(Console()), follow=follow), identity))
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


async def _attended(watcher: "Watcher", identity: str | None) -> None:
    """Watch until it ends by itself or somebody leaves."""
    watching = asyncio.create_task(watcher.watch(identity))
    with attended(watching.cancel, watcher.news.set):
        await asyncio.wait([watching])
    if not watching.cancelled():
        watching.result()


class Watcher:
    """Watches one package of the instance on this machine."""

    def __init__(self, settings: Settings, display: Display, *, follow: bool = False) -> None:
        self.news = asyncio.Event()
        """Set when the picture is no longer right."""
        self._settings = settings
        self._display = display
        self._follow = follow

    async def watch(self, identity: str | None = None) -> None:
        """Show a package, by its id or that of a video (None: the newest), until it is complete.

        Raises CommandError; VideoFailedError with the reason when there will be no package.
        """
        url = find_instance(self._settings.data).url
        api = Api(url, _token_for(url))
        try:
            package_id, video = await self._find(api, identity)
            state = WatchState(await read_package(api, package_id), video.title if video else "")
            if await read_completion(api, package_id) is not None:
                state.mark_complete(time.time())
            if state.is_complete and not self._follow:
                self._display.show(state.map(time.time()), final=True)
            else:
                await self._show(api, state, video)
        finally:
            self._display.close()
            await api.close()

    async def _find(self, api: Api, identity: str | None) -> tuple[str, Video | None]:
        """Return the package's id, as soon as it is planned, and the video that is watched."""
        if identity and PACKAGE_ID.fullmatch(identity):
            return identity, None
        video = await (api.video(identity) if identity else api.newest_video())
        if video is None:
            raise NothingToWatchError
        while not video.package_id and video.state != "failed":
            self._display.waiting(video)
            await asyncio.sleep(LOOK_EVERY_S)
            video = await api.video(video.id)
        if video.state == "failed" or not video.package_id:
            self._display.failed(video)
            raise VideoFailedError(video.reason or VideoFailedError().detail)
        return video.package_id, video

    async def _show(self, api: Api, state: WatchState, video: Video | None) -> None:
        caught_up = asyncio.Event()
        listening = asyncio.create_task(self._listen(state, caught_up))
        asking = asyncio.create_task(self._ask(api, state, video))
        repair = asyncio.create_task(follow_repair(api, state, self.news.set))
        try:
            await _either(caught_up, listening, asking)
            await _complete_title(api, state)
            await reopen_if_damaged(api, state)
            while not self._draw(state):
                await asyncio.sleep(REDRAW_AT_MOST_EVERY_S)
                await _either(
                    self.news, listening, asking, repair, timeout_s=REDRAW_AT_LEAST_EVERY_S
                )
                self.news.clear()
        finally:
            await end(listening, asking, repair)

    def _draw(self, state: WatchState) -> bool:
        """Show the map, and tell whether it is final; raises VideoFailedError."""
        known = state.map(time.time())
        has_failed = known.state == "failed"
        is_final = has_failed or (known.state == "ready" and not self._follow)
        self._display.show(known, final=is_final)
        if has_failed:
            raise VideoFailedError(known.reason)
        return is_final

    async def _listen(self, state: WatchState, caught_up: asyncio.Event) -> None:
        """Hear of the package until cancelled; raises CommandError when the instance is gone.

        After a lost connection all is heard again, which changes nothing but what was missed.
        """
        give_up_at = 0.0
        while True:
            try:
                url = instance_url(self._settings)
                await listen(url, state.package.package_id, _Ears(state, self.news, caught_up))
                give_up_at = time.monotonic() + RECONNECT_FOR_S
            except InstanceMissingError:
                raise
            except CommandError:
                if time.monotonic() > give_up_at:
                    raise
            await asyncio.sleep(RECONNECT_EVERY_S)

    async def _ask(self, api: Api, state: WatchState, video: Video | None) -> None:
        """Return when nothing more will come of the package, for a reason the state then knows."""
        package_id = state.package.package_id
        state.end(await until_over(api, package_id, video.id if video else None), time.time())
        self.news.set()


@dataclass(frozen=True)
class _Ears:
    """Lets a map know, and says that there is news."""

    state: WatchState
    news: asyncio.Event
    caught_up: asyncio.Event

    def hear(self, message: Message, at: float) -> None:
        self.state.hear(message, at)
        self.news.set()

    def forget_until(self, at: float) -> None:
        self.state.forget_until(at)
        self.news.set()

    def see_work(self, tasks: Collection[UUID], at: float) -> None:
        self.state.see_work(tasks, at)
        self.news.set()

    def catch_up(self) -> None:
        self.caught_up.set()


def _token_for(url: str) -> str:
    """Return the administrator's token, for private videos; an empty text where it is not ours."""
    try:
        return find_token(url, None)
    except TokenMissingError:
        return ""


async def _either(
    event: asyncio.Event, *tasks: asyncio.Task[None], timeout_s: float | None = None
) -> None:
    """Return when the event is set, a task or the time is over; raise what ended a task."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([waiting, *tasks], timeout=timeout_s, return_when="FIRST_COMPLETED")
    finally:
        waiting.cancel()
    for task in tasks:
        if task.done():
            task.result()


async def _complete_title(api: Api, state: WatchState) -> None:
    """Take the title of the video that the package was planned for, unless it is known."""
    if not state.title and state.video_id is not None:
        # The video may be deleted by now.
        with contextlib.suppress(ServerRefusedError):
            state.title = (await api.video(str(state.video_id))).title
