"""The HTTP side: a raw RSGI application, because this is the path of every byte that is watched."""

import json
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import TypeVar

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from reelay.common.errors import NotFoundError, ReelayError
from reelay.common.http import Check, readiness
from reelay.content_api.domain.names import (
    CONTENT_PREFIX,
    DOWNLOADS,
    ContentName,
    parse_target,
    split_token,
)
from reelay.content_api.domain.ports import Found
from reelay.content_api.entrypoints.confidential import Confidential
from reelay.content_api.entrypoints.delivery import Delivery
from reelay.content_api.entrypoints.downloading import Downloading
from reelay.content_api.entrypoints.protocol import HTTPProtocol, Scope
from reelay.content_api.entrypoints.recent import RecentAnswers
from reelay.content_api.entrypoints.responses import (
    METHODS,
    PREFLIGHT,
    count,
    described,
    send_bytes,
    send_problem,
)
from reelay.content_api.entrypoints.viewers import viewer_of
from reelay.content_api.handlers.admission import Admission
from reelay.content_api.handlers.audience import Audience
from reelay.content_api.handlers.library import Library
from reelay.content_api.handlers.waiting import Visitor

SAFE_METHODS = ("GET", "HEAD")
SENT = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
HEALTH = ("/healthz", "/readyz", "/metrics")

T = TypeVar("T")

log = structlog.get_logger()


class Application:
    """Answers GET, HEAD and OPTIONS."""

    def __init__(
        self,
        library: Library,
        admission: Admission,
        audience: Audience,
        delivery: Delivery,
        downloading: Downloading,
        recent: RecentAnswers,
        checks: Mapping[str, Check],
    ) -> None:
        """`checks` are asked by `/readyz`."""
        self._library = library
        self._admission = admission
        self._audience = audience
        self._delivery = delivery
        self._downloading = downloading
        self._checks = checks
        self._recent = recent

    def again(self, scope: Scope, proto: HTTPProtocol) -> bool:
        """See PromptApplication."""
        if not self._recent.answer(scope, proto):
            return False
        if self._audience.is_asked:
            self._see(scope, parse_target(scope.path))
        return True

    def at_once(self, scope: Scope, proto: HTTPProtocol) -> bool:
        """Answer a request for an object that is at hand, as nearly all are; else return False.

        See PromptApplication. A path with a token is none of a package that is open to all.
        """
        path, method = scope.path, scope.method
        name = parse_target(path) if method in SAFE_METHODS else None
        if name is None or not self._admission.is_open(name.package_id):
            return False
        body = method == "GET"
        try:
            file = self._library.at_hand(name, soon=body)
        except ReelayError:
            return False  # it has an answer of its own
        if file is None:
            return False
        status = self._delivery.send_at_once(proto, scope.headers, name, file, body=body)
        if status is None:
            return False
        if status == HTTPStatus.OK:
            self._recent.note(path, name, file)
        count(status)
        if body and status in SENT:
            self._see(scope, name)
        return True

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Answer one request. `scope.path` was percent-decoded once, by Granian."""
        path, method = scope.path, scope.method  # Granian makes them anew each time they are read
        if not path.startswith(CONTENT_PREFIX):
            await self._other(scope, proto)
        elif method == "OPTIONS":
            proto.response_empty(204, PREFLIGHT)
        elif method not in SAFE_METHODS:
            count(_send_not_allowed(proto))
        else:
            count(await self._content(scope, proto, path, reading=method == "GET"))

    async def _content(self, scope: Scope, proto: HTTPProtocol, path: str, *, reading: bool) -> int:
        path, token = split_token(path)
        if token is not None:
            proto = Confidential(proto)
        try:
            name = parse_target(path)
            if name is None:
                raise NotFoundError
            if not self._admission.is_open(name.package_id):
                await self._admission.admit(name.package_id, token)
            file: Found | None = self._library.at_hand(name)
            if file is None:
                if name.path.startswith(DOWNLOADS):
                    made = await self._judged(self._downloading.fetch(name), name, token)
                    return await self._downloading.send(
                        proto, scope.headers, name, made, body=reading
                    )
                who = Visitor(viewer_of(scope), proto.client_disconnect) if reading else None
                described(name)  # now, while the store is asked anyway
                file = await self._judged(self._library.fetch(name, who), name, token)
            status = await self._delivery.send(proto, scope.headers, name, file, body=reading)
            if reading and status in SENT:
                self._see(scope, name)
            return status
        except ReelayError as error:
            later = error.status == HTTPStatus.SERVICE_UNAVAILABLE
            if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                log.error("cannot serve", path=path, error=repr(error))
            return send_problem(
                proto,
                error.status,
                error.detail,
                kind=error.problem,
                fields={"retry-after": "1"} if later else None,
                body=reading,
            )
        except Exception:  # the boundary: a bug must not look like a fact that caches keep
            log.exception("unexpected error", path=path)
            detail = "Something went wrong on our side; the log says what."
            return send_problem(proto, 500, detail, body=reading)

    def _see(self, scope: Scope, name: ContentName | None) -> None:
        """Let those who ask for it know where the viewer is that was sent an object."""
        try:
            if name is not None and self._audience.concerns(name):
                self._audience.note(name, viewer_of(scope))
        except Exception:  # a boundary: nobody is answered twice because of this
            log.exception("viewer not noted")

    async def _judged(self, waiting: Awaitable[T], name: ContentName, token: str | None) -> T:
        """Wait for what is not at hand; whoever had to wait is judged by what holds then."""
        try:
            return await waiting
        finally:
            if not self._admission.is_open(name.package_id):
                # What this raises counts, instead of an object or that it did not come.
                await self._admission.admit(name.package_id, token)

    async def _other(self, scope: Scope, proto: HTTPProtocol) -> None:
        body = scope.method != "HEAD"
        if scope.path not in HEALTH:
            send_problem(proto, 404, NotFoundError().detail, kind=NotFoundError.problem, body=body)
        elif scope.method not in SAFE_METHODS:
            _send_not_allowed(proto)
        elif scope.path == "/metrics":
            send_bytes(proto, 200, CONTENT_TYPE_LATEST, generate_latest(), body=body)
        elif scope.path == "/readyz":
            ready, report = await readiness(self._checks)
            content = json.dumps(report).encode()
            send_bytes(proto, 200 if ready else 503, "application/json", content, body=body)
        else:
            send_bytes(proto, 200, "application/json", b'{"status":"ok"}', body=body)


def _send_not_allowed(proto: HTTPProtocol) -> int:
    detail = f"Only {METHODS} are allowed here."
    return send_problem(proto, 405, detail, fields={"allow": METHODS})
