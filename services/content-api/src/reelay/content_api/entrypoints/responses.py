"""Header fields of every kind of answer, and answers that carry no object."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from reelay.common.http import problem
from reelay.common.metrics import REQUESTS_SERVED
from reelay.content_api.domain.bodies import Body
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.domain.ranges import ByteRange
from reelay.content_api.entrypoints.protocol import Fields, HTTPProtocol

IMMUTABLE = ("cache-control", "public, max-age=31536000, immutable")
NO_STORE = ("cache-control", "no-store")
EXPOSED = (
    "accept-ranges, cache-control, content-length, content-range, content-type, date, etag, "
    "retry-after"
)
ANY_ORIGIN: Fields = [
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", EXPOSED),
]
METHODS = "GET, HEAD, OPTIONS"
PREFLIGHT: Fields = [
    *ANY_ORIGIN,
    ("access-control-allow-methods", METHODS),
    ("access-control-allow-headers", "*"),
    ("access-control-max-age", "86400"),
    ("allow", METHODS),
]
OBJECT: Fields = [*ANY_ORIGIN, IMMUTABLE, ("accept-ranges", "bytes")]


@lru_cache(maxsize=8192)
def whole_fields(name: ContentName, size_bytes: int) -> Fields:
    """Return the fields of an answer with a whole object."""
    return [*described(name), ("content-length", str(size_bytes))]


@lru_cache(maxsize=8192)
def described(name: ContentName) -> Fields:
    """Return those fields of an answer with a whole object that do not depend on its size."""
    return [
        *OBJECT,
        ("etag", name.etag),
        ("content-type", name.content_type),
        *_saved_as(name),
    ]


def _saved_as(name: ContentName) -> Fields:
    """Return the field that lets a browser save a file under its name (RFC 6266)."""
    saved = name.saved_as
    return [("content-disposition", f'attachment; filename="{saved}"')] if saved else []


def send_whole(proto: HTTPProtocol, name: ContentName, file: StoredFile) -> int:
    """Answer with a whole object; return the status."""
    fields = whole_fields(name, file.size_bytes)
    if file.content is None:
        proto.response_file(200, fields, file.path)
    else:
        proto.response_bytes(200, fields, file.content)
    return 200


def part_fields(name: ContentName, body: Body) -> Fields:
    """Return the fields of an answer with parts of an object (RFC 9110, section 15.3.7)."""
    fields = [
        *OBJECT,
        ("etag", name.etag),
        ("content-type", body.content_type),
        ("content-length", str(body.length)),
    ]
    if body.content_range is not None:
        fields.append(("content-range", body.content_range))
    return fields + _saved_as(name)


def send_part(proto: HTTPProtocol, fields: Fields, file: StoredFile, part: ByteRange) -> int:
    """Answer with one range of an object; return the status."""
    if file.content is None:
        proto.response_file_range(206, fields, file.path, part.start, part.end)
    else:
        proto.response_bytes(206, fields, file.content[part.start : part.end])
    return 206


def send_not_modified(proto: HTTPProtocol, name: ContentName) -> int:
    """Tell a client that what it has is right; return the status."""
    proto.response_empty(304, [*OBJECT, ("etag", name.etag)])
    return 304


def send_problem(
    proto: HTTPProtocol,
    status: int,
    detail: str,
    *,
    kind: str = "about:blank",
    fields: Mapping[str, str] | None = None,
    body: bool = True,
) -> int:
    """Answer with a problem document that no cache keeps; return the status."""
    content = json.dumps(problem(status, detail, kind=kind)).encode()
    headers = [
        *ANY_ORIGIN,
        NO_STORE,
        ("content-type", "application/problem+json"),
        ("content-length", str(len(content))),
        *(fields or {}).items(),
    ]
    if body:
        proto.response_bytes(status, headers, content)
    else:
        proto.response_empty(status, headers)
    return status


def send_bytes(
    proto: HTTPProtocol, status: int, content_type: str, content: bytes, *, body: bool
) -> int:
    """Answer with a short text about the service itself; return the status."""
    headers = [
        NO_STORE,
        ("content-type", content_type),
        ("content-length", str(len(content))),
    ]
    if body:
        proto.response_bytes(status, headers, content)
    else:
        proto.response_empty(status, headers)
    return status


def count(status: int) -> None:
    """Count an answered content request."""
    counter = _counters.get(status)
    if counter is None:
        counter = _counters[status] = REQUESTS_SERVED.labels(str(status))
    counter.inc()


_counters: dict[int, Any] = {}
