"""What a request's conditions and ranges leave of an answer (RFC 9110, sections 13 and 14)."""

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.preconditions import (
    matches_strongly,
    matches_weakly,
    range_applies,
)
from reelay.content_api.domain.ranges import ByteRange, Part, parse_range
from reelay.content_api.entrypoints.protocol import Headers, HTTPProtocol
from reelay.content_api.entrypoints.responses import (
    send_not_modified,
    send_problem,
    whole_fields,
)


def answered(
    proto: HTTPProtocol, headers: Headers, name: ContentName, size_bytes: int, *, body: bool
) -> int | list[ByteRange] | None:
    """Answer what needs no byte of the object, in the order of 13.2.2; return the status.

    Otherwise return the ranges that are to be sent, or None for the whole object. A field with
    bytes beyond ASCII, which Granian keeps to itself (2.8.7), names no tag of ours.
    """
    if "if-match" in headers and not matches_strongly(headers.get_all("if-match"), name.etag):
        return send_problem(proto, 412, "The object has another entity tag.", body=body)
    if "if-none-match" in headers and matches_weakly(headers.get_all("if-none-match"), name.etag):
        return send_not_modified(proto, name)
    if not body:
        proto.response_empty(200, whole_fields(name, size_bytes))
        return 200
    # Range means something for GET only (section 14.2), so not for HEAD.
    if_range = (headers.get("if-range") or "") if "if-range" in headers else None
    if "range" not in headers or not range_applies(if_range, name.etag):
        return None
    asked = parse_range(",".join(headers.get_all("range")), size_bytes)
    if asked is Part.UNSATISFIABLE:
        size = {"content-range": f"bytes */{size_bytes}"}
        return send_problem(proto, 416, "No byte of the object is in the range.", fields=size)
    return None if isinstance(asked, Part) else asked
