"""Sends an object, or what a request's conditions and ranges leave of it."""

from reelay.content_api.domain.bodies import Body, partial, whole
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import SHORT_BYTES, Arriving, Feeds, Found, StoredFile
from reelay.content_api.domain.ranges import ByteRange
from reelay.content_api.entrypoints.conditions import answered
from reelay.content_api.entrypoints.protocol import Fields, Headers, HTTPProtocol
from reelay.content_api.entrypoints.responses import (
    part_fields,
    send_part,
    send_whole,
    whole_fields,
)
from reelay.content_api.entrypoints.streams import Streams


class Delivery:
    """Answers with objects; every method returns the status."""

    def __init__(self, feeds: Feeds, streams: Streams) -> None:
        """What arrives is sent by a stream, or by a feed when memory is short."""
        self._feeds = feeds
        self._streams = streams

    async def send(
        self, proto: HTTPProtocol, headers: Headers, name: ContentName, file: Found, *, body: bool
    ) -> int:
        """Answer as the conditions ask, in the order of RFC 9110, section 13.2.2."""
        asked = answered(proto, headers, name, file.size_bytes, body=body)
        if isinstance(asked, int):
            return asked
        if isinstance(file, StoredFile):
            status = _send_finished(proto, name, file, asked)
            return status or await self._send_ranges(proto, name, file, asked or [])
        if asked is None:
            return await self._send_whole(proto, name, file)
        return await self._send_ranges(proto, name, file, asked)

    def send_at_once(
        self,
        proto: HTTPProtocol,
        headers: Headers,
        name: ContentName,
        file: StoredFile,
        *,
        body: bool,
    ) -> int | None:
        """Answer with a finished file; do nothing and return None when only `send` can."""
        asked = answered(proto, headers, name, file.size_bytes, body=body)
        if isinstance(asked, int):
            return asked
        return _send_finished(proto, name, file, asked)

    async def _send_whole(self, proto: HTTPProtocol, name: ContentName, file: Arriving) -> int:
        fields = whole_fields(name, file.size_bytes)
        body = whole(name.content_type, file.size_bytes)
        if file.size_bytes >= SHORT_BYTES and await self._feed(proto, 200, fields, body, file):
            return 200
        return send_whole(proto, name, await file.whole())

    async def _send_ranges(
        self, proto: HTTPProtocol, name: ContentName, file: Found, ranges: list[ByteRange]
    ) -> int:
        body = partial(name.content_type, file.size_bytes, ranges)
        fields = part_fields(name, body)
        if body.length < SHORT_BYTES:
            proto.response_bytes(206, fields, await self._feeds.read(body, file))
            return 206
        if await self._feed(proto, 206, fields, body, file):
            return 206
        stored = file if isinstance(file, StoredFile) else await file.whole()
        if len(ranges) == 1:
            return send_part(proto, fields, stored, ranges[0])
        # A server may ignore the field (section 14.2), and is too busy for anything else now.
        return send_whole(proto, name, stored)

    async def _feed(
        self, proto: HTTPProtocol, status: int, fields: Fields, body: Body, file: Found
    ) -> bool:
        """Send a body that is no finished file; return False when that is not possible now."""
        if not isinstance(file, StoredFile):
            stream = self._streams.open(proto, status, fields, body.length)
            if stream:
                await stream.feed(body, file)
                return True
        if self._feeds.full:
            return False
        await self._feeds.send(body, file, lambda path: proto.response_file(status, fields, path))
        return True


def _send_finished(
    proto: HTTPProtocol, name: ContentName, file: StoredFile, asked: list[ByteRange] | None
) -> int | None:
    """Send a finished file or one range of it; several ranges are left to a feed."""
    if asked is None:
        return send_whole(proto, name, file)
    if len(asked) > 1:
        return None
    part = partial(name.content_type, file.size_bytes, asked)
    return send_part(proto, part_fields(name, part), file, asked[0])
