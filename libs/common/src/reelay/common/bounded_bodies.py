"""Routes that read no more of a JSON body than one of theirs can have."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

MAX_BODY_BYTES = 1024 * 1024


class BoundedRoute(APIRoute):
    """A route for `APIRouter(route_class=...)`; a larger body is answered with 413.

    FastAPI collects a whole body in memory, and does so before any handler looks at the token:
    without a bound, anybody could fill the memory of the process.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, which gets at most MAX_BODY_BYTES."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(Request(request.scope, _bounded(request.receive)))

        return bounded


def _bounded(receive: Receive) -> Receive:
    """Pass messages on; raise HTTPException, which FastAPI lets through, when they are too much."""
    came = 0

    async def receive_bounded() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > MAX_BODY_BYTES:
            detail = f"The body of this request may have at most {MAX_BODY_BYTES} bytes."
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        return message

    return receive_bounded
