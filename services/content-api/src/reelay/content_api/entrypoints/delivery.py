"""Sends an object, or what a request's conditions and ranges leave of it."""

from reelay.content_api.domain.bodies import Body, partial, whole
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import SHORT_BYTES, Feeds, Found, StoredFile
from reelay.content_api.domain.preconditions import (
    matches_strongly,
    matches_weakly,
    range_applies,
)
from reelay.content_api.domain.ranges import ByteRange, Part, parse_range
from reelay.content_api.entrypoints.protocol import Fields, Headers, HTTPProtocol
from reelay.content_api.entrypoints.responses import (
    part_fields,
    send_not_modified,
    send_part,
    send_problem,
    send_whole,
    whole_fields,
)


class Delivery:
    """Answers with objects; every method returns the status."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    async def send(
        self, proto: HTTPProtocol, headers: Headers, name: ContentName, file: Found, *, body: bool
    ) -> int:
        """Answer as the conditions ask, in the order of RFC 9110, section 13.2.2."""
        if "if-match" in headers and not matches_strongly(headers.get_all("if-match"), name.etag):
            return send_problem(proto, 412, "The object has another entity tag.", body=body)
        if "if-none-match" in headers and matches_weakly(
            headers.get_all("if-none-match"), name.etag
        ):
            return send_not_modified(proto, name)
        if not body:
            proto.response_empty(200, whole_fields(name, file.size_bytes))
            return 200
        # Range means something for GET only (section 14.2), so not for HEAD.
        if "range" in headers and range_applies(headers.get("if-range"), name.etag):
            asked = parse_range(",".join(headers.get_all("range")), file.size_bytes)
            if asked is Part.UNSATISFIABLE:
                size = {"content-range": f"bytes */{file.size_bytes}"}
                detail = "No byte of the object is in the range."
                return send_problem(proto, 416, detail, fields=size)
            if not isinstance(asked, Part):
                return await self._send_ranges(proto, name, file, asked)
        return await self._send_whole(proto, name, file)

    async def _send_whole(self, proto: HTTPProtocol, name: ContentName, file: Found) -> int:
        if not isinstance(file, StoredFile):
            if file.size_bytes >= SHORT_BYTES and not self._feeds.full:
                fields = whole_fields(name, file.size_bytes)
                return await self._feed(
                    proto, 200, fields, whole(name.content_type, file.size_bytes), file
                )
            file = await file.whole()
        return send_whole(proto, name, file)

    async def _send_ranges(
        self, proto: HTTPProtocol, name: ContentName, file: Found, ranges: list[ByteRange]
    ) -> int:
        body = partial(name.content_type, file.size_bytes, ranges)
        fields = part_fields(name, body)
        if isinstance(file, StoredFile) and len(ranges) == 1:
            return send_part(proto, fields, file, ranges[0])
        if body.length < SHORT_BYTES:
            proto.response_bytes(206, fields, await self._feeds.read(body, file))
            return 206
        if not self._feeds.full:
            return await self._feed(proto, 206, fields, body, file)
        stored = file if isinstance(file, StoredFile) else await file.whole()
        if len(ranges) == 1:
            return send_part(proto, fields, stored, ranges[0])
        # A server may ignore the field (section 14.2), and is too busy for anything else now.
        return send_whole(proto, name, stored)

    async def _feed(
        self, proto: HTTPProtocol, status: int, fields: Fields, body: Body, file: Found
    ) -> int:
        await self._feeds.send(body, file, lambda path: proto.response_file(status, fields, path))
        return status
