"""Reelay's HTTP interface, as the command line uses it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from reelay.cli.environment import is_this_machine
from reelay.cli.errors import ServerRefusedError, ServerUnreachableError, TokenRefusedError
from reelay.cli.sse import EventParser, ServerEvent

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
"""Also the longest silence on the event stream before it is opened anew."""
WATCHABLE = ("playable", "ready")


@dataclass(frozen=True)
class Video:
    """What the server says of a video."""

    id: str
    state: str
    reason: str | None = None
    progress: float = 0.0
    hls: str | None = None
    dash: str | None = None
    renditions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Segments stored and in total, by rendition; empty when the server does not say."""
    title: str = ""
    package_id: str | None = None

    @property
    def is_watchable(self) -> bool:
        """Whether players can start."""
        return self.state in WATCHABLE


class Api:
    """One server, spoken to with one token; without one (an empty text), only reading is possible.

    Every method raises ServerUnreachableError, TokenRefusedError or ServerRefusedError.
    """

    def __init__(self, server: str, token: str) -> None:
        self.server = server
        self._contents: dict[str, str] = {}
        """Where packages lie, as their videos tell: those of private ones below a token."""
        self.http = httpx.AsyncClient(
            headers={"user-agent": "reelay-cli"}
            | ({"authorization": f"Bearer {token}"} if token else {}),
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            # A proxy can reach neither this machine's loopback nor should it see its tokens.
            trust_env=not is_this_machine(server),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def draft_video(self, title: str, visibility: str | None = None) -> Video:
        """Announce a video whose file follows; unless told, the server says who may see it."""
        body = {"title": title} | ({"visibility": visibility} if visibility else {})
        return self._video(await self.send("POST", f"{self.server}/api/v1/videos", json=body))

    async def show_to(self, video_id: str, visibility: str) -> None:
        """Say who may see a video."""
        url = f"{self.server}/api/v1/videos/{video_id}"
        await self.send("PATCH", url, json={"visibility": visibility})

    async def video(self, video_id: str) -> Video:
        """Return a video as it is now."""
        return self._video(await self.send("GET", f"{self.server}/api/v1/videos/{video_id}"))

    async def newest_video(self) -> Video | None:
        """Return the video that was announced last; None when there is none."""
        answer = await self.send("GET", f"{self.server}/api/v1/videos", params={"limit": 1})
        try:
            ids = [str(video["id"]) for video in answer.json()["videos"]]
        except (ValueError, KeyError, TypeError) as error:
            raise self._strange(answer) from error
        return await self.video(ids[0]) if ids else None

    async def content(self, package_id: str, path: str) -> bytes:
        """Return an object of a package."""
        return (await self.send("GET", self._content_url(package_id, path))).content

    async def content_status(self, package_id: str, path: str) -> int:
        """Return the HTTP status of an object: 200 when it is there, 410 when it never will be."""
        try:
            answer = await self.send("HEAD", self._content_url(package_id, path))
        except ServerRefusedError as error:
            return error.status
        return answer.status_code

    async def events(self, video_id: str) -> AsyncGenerator[ServerEvent, None]:
        """Yield live updates of a video until the server ends the stream."""
        parser = EventParser()
        try:
            async with self.http.stream(
                "GET",
                f"{self.server}/api/v1/events",
                params={"video_id": video_id},
                headers={"accept": "text/event-stream"},
            ) as answer:
                await self._check(answer)
                async for chunk in answer.aiter_bytes():
                    for event in parser.feed(chunk):
                        yield event
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def lines(self, url: str, order: object) -> AsyncGenerator[str, None]:
        """Send an order; yield the lines of the answer as they come."""
        try:
            async with self.http.stream("POST", url, json=order) as answer:
                await self._check(answer)
                async for line in answer.aiter_lines():
                    yield line
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request and return a successful answer."""
        try:
            answer = await self.http.request(method, url, **options)
            await self._check(answer)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        return answer

    def _content_url(self, package_id: str, path: str) -> str:
        plain = f"{self.server}/api/v1/content/{package_id}"
        return f"{self._contents.get(package_id, plain)}/{path}"

    async def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        await answer.aread()
        detail = _detail(answer)
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise TokenRefusedError(f"{self.server} refuses the token: {detail}")
        raise ServerRefusedError(f"{self.server} says: {detail}", answer.status_code)

    def _unreachable(self, error: httpx.TransportError) -> ServerUnreachableError:
        what = str(error) or type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            hint = " Is `reelay up` running?" if is_this_machine(self.server) else ""
            return ServerUnreachableError(f"{self.server} does not answer ({what}).{hint}")
        return ServerUnreachableError(f"The connection to {self.server} was lost ({what}).")

    def _video(self, answer: httpx.Response) -> Video:
        try:
            video = _parse_video(answer.json(), self.server)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._strange(answer) from error
        if video.package_id and video.hls:
            self._contents[video.package_id] = video.hls.rpartition("/")[0]
        return video

    def _strange(self, answer: httpx.Response) -> ServerRefusedError:
        return ServerRefusedError(
            f"{self.server} does not speak Reelay's interface.", answer.status_code
        )


def _parse_video(body: dict[str, Any], server: str) -> Video:
    playback = body.get("playback") or {}
    links = {kind: server + playback[kind] for kind in ("hls", "dash") if playback.get(kind)}
    return Video(
        id=str(body["id"]),
        state=str(body.get("state", "draft")),
        reason=body.get("reason"),
        progress=float(body.get("progress") or 0.0),
        hls=links.get("hls"),
        dash=links.get("dash"),
        renditions={
            name: (int(counts["stored"]), int(counts["total"]))
            for name, counts in (body.get("renditions") or {}).items()
        },
        title=str(body.get("title") or ""),
        package_id=body.get("package_id"),
    )


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json().get("detail")
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError):
        detail = None
    if isinstance(detail, str) and detail:
        return detail
    return f"{answer.status_code} {answer.reason_phrase}."


async def pause(duration_s: float) -> None:
    """Wait before the next attempt."""
    await asyncio.sleep(duration_s)
