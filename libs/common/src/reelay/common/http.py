"""What every service's HTTP side has: problem documents, health, metrics, tracing, and a server."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import responses
from typing import Any, Literal

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.routing import Match

from reelay.common.errors import ReelayError
from reelay.common.openapi import PROBLEMS
from reelay.common.prompt_worker import prompt_worker

Check = Callable[[], Awaitable[None]]
CHECK_TIMEOUT_S = 2.0
STOP_TIMEOUT_S = 5.0
RECEIVE_BUFFER_BYTES = 408 * 1024
"""Granian's own choice: 8 KiB and 100 pages."""
KERNEL_QUEUE_BYTES = 1024 * 1024
"""What the kernel keeps of each connection for us. Its own choice grows to tens of MB under an
upload, all of which its sender believes to be here; a gateway's connection needs far less."""
READING = ["GET", "HEAD"]

log = structlog.get_logger()

stopping = asyncio.Event()
"""Set when the process was asked to stop; endless responses end then."""


def problem(status: int, detail: str, *, kind: str = "about:blank") -> dict[str, Any]:
    """Return the members of a problem document (RFC 9457, section 3.1)."""
    title = responses.get(status, "Error")  # tus has statuses of its own
    return {"type": kind, "title": title, "status": status, "detail": detail}


def problem_response(
    status: int, detail: str, *, kind: str = "about:blank", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a problem document as a response that no cache keeps."""
    return JSONResponse(
        problem(status, detail, kind=kind),
        status_code=status,
        media_type="application/problem+json",
        headers={"cache-control": "no-store", **(headers or {})},
    )


def create_app(title: str, checks: Mapping[str, Check]) -> FastAPI:
    """Return an application with health, readiness, metrics and problem documents.

    `checks` are asked by `/readyz`; each raises when what it is named for cannot be used.
    """
    app = FastAPI(title=f"Reelay {title}", docs_url=None, redoc_url=None, responses=PROBLEMS)
    app.add_exception_handler(ReelayError, _on_reelay_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_bug)

    @app.api_route("/healthz", methods=READING, include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.api_route("/readyz", methods=READING, include_in_schema=False)
    async def readyz() -> JSONResponse:
        ready, report = await readiness(checks)
        return JSONResponse(report, status_code=200 if ready else 503)

    @app.api_route("/metrics", methods=READING, include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    # No span for each block of a body: a large upload has thousands of them.
    FastAPIInstrumentor.instrument_app(
        app, excluded_urls="healthz,readyz,metrics", exclude_spans=["receive", "send"]
    )
    return app


async def readiness(checks: Mapping[str, Check]) -> tuple[bool, dict[str, Any]]:
    """Ask all checks at once; return whether all hold, and a report."""

    async def ask(check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await check()
        except Exception as error:  # the boundary: whatever a check raises means 'not ready'
            return f"{type(error).__name__}: {error}"[:200]
        return "ok"

    states = dict(zip(checks, await asyncio.gather(*map(ask, checks.values())), strict=True))
    ready = all(state == "ok" for state in states.values())
    return ready, {"ready": ready, "checks": states}


@dataclass(frozen=True)
class ConnectionLimits:
    """What a client may hold of a server that speaks HTTP/1.1 alone.

    Granian's automatic choice of the protocol waits for a connection's first byte without limit.
    """

    head_timeout_s: float = 15.0
    """A connection whose next request head is not complete by then is closed, idle ones too."""
    stalled_s: float = 30.0
    """A connection whose peer takes no byte of what was sent for so long is reset."""
    buffer_bytes: int = 64 * 1024
    """About what a request head and the unsent part of an answer may take; more is 431."""
    connections: int = 4096
    """More than this wait to be accepted."""
    file_threads: int = 16
    """Threads that read files; few, because waking many costs more than they gain."""


class _Server(Server):
    """A server whose listening socket has options that accepted connections inherit."""

    def __init__(self, socket_options: Sequence[tuple[int, int, int]], **options: Any) -> None:
        self._socket_options = socket_options
        super().__init__(**options)

    def _init_shared_socket(self) -> None:
        super()._init_shared_socket()  # type: ignore[no-untyped-call]  # granian leaves it untyped
        spec: Any = self._ssp
        holder = spec.build()
        self._ssp, self._shd = None, holder
        with socket.socket(fileno=os.dup(holder.get_fd())) as listener:
            for option in self._socket_options:
                listener.setsockopt(*option)


def _limited(limits: ConnectionLimits, options: dict[str, Any]) -> Server:
    """Return a server whose connections the kernel ends when their peers take nothing.

    TCP_USER_TIMEOUT also counts while the peer's window is closed (Linux 5.11, tcp(7)).
    """
    timeout_ms = round(limits.stalled_s * 1000)
    return _Server(
        [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)],
        **options,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=round(limits.head_timeout_s * 1000),
            max_buffer_size=limits.buffer_bytes,
        ),
        backpressure=limits.connections,
        runtime_blocking_threads=limits.file_threads,
    )


async def serve(
    app: Any,
    host: str,
    port: int,
    *,
    interface: Literal["asginl", "rsgi"] = "asginl",
    limits: ConnectionLimits | None = None,
    receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
) -> None:
    """Serve until SIGTERM or SIGINT; answer what was begun, then return.

    Of each connection at most `receive_buffer_bytes` (or what `limits` say) lie ready that nobody
    asked for yet. An "rsgi" application is a PromptApplication.
    """
    options: dict[str, Any] = {
        "target": app,
        "address": host,
        "port": port,
        "interface": Interfaces(interface),
        "websockets": False,
        "log_enabled": False,
        "backlog": 1024,
    }
    if limits:
        server = _limited(limits, options)
    else:
        http1 = HTTP1Settings(max_buffer_size=receive_buffer_bytes)
        queue = (socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_QUEUE_BYTES)
        server = _Server([queue], **options, http1_settings=http1)
    loop = asyncio.get_running_loop()
    stopping.clear()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    worker = prompt_worker() if interface == "rsgi" else None
    serving = asyncio.create_task(server.serve(worker))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if serving.done():
        serving.result()
        if not stopping.is_set():
            raise RuntimeError("the HTTP server ended by itself")
        return
    server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await serving


async def _on_reelay_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ReelayError)
    headers = {"retry-after": "1"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return problem_response(error.status, error.detail, kind=error.problem, headers=headers)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    detail = str(error.detail)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = ", ".join(sorted(_methods(request)))
        detail = f"{request.method} is not possible here."
    elif error.status_code == HTTPStatus.NOT_FOUND and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = f"There is nothing at {request.url.path}."
    return problem_response(error.status_code, detail, headers=headers)


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes of this path (RFC 9110, section 10.2.1)."""
    methods: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return methods


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem_response(422, f"{where}: {first['msg']}", kind="unprocessable")


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    log.error("unexpected error", path=request.url.path, exc_info=error)
    return problem_response(500, "Something went wrong on our side; the log says what.")
