"""Sends files that are put together while they are read, and their playlists."""

from reelay.common.errors import TransientError
from reelay.content_api.domain.assembled import Assembled, AssembledFeeds
from reelay.content_api.domain.bodies import Body, partial, whole
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import SHORT_BYTES, StoredFile
from reelay.content_api.domain.ranges import ByteRange
from reelay.content_api.entrypoints.conditions import answered
from reelay.content_api.entrypoints.delivery import Delivery
from reelay.content_api.entrypoints.protocol import Fields, Headers, HTTPProtocol
from reelay.content_api.entrypoints.responses import part_fields, send_part, whole_fields
from reelay.content_api.handlers.downloads import Downloads

Made = Assembled | StoredFile


class TooManyDownloadsError(TransientError):
    """Too many downloads are under way; ask again soon."""

    problem = "too-many-downloads"


class Downloading:
    """Answers what lies below `downloads/`."""

    def __init__(self, downloads: Downloads, feeds: AssembledFeeds, delivery: Delivery) -> None:
        """`delivery` sends playlists."""
        self._downloads = downloads
        self._feeds = feeds
        self._delivery = delivery

    async def fetch(self, name: ContentName) -> Made:
        """Return what is to be sent; see Downloads."""
        return await self._downloads.fetch(name)

    async def send(
        self, proto: HTTPProtocol, headers: Headers, name: ContentName, file: Made, *, body: bool
    ) -> int:
        """Answer a request; return the status."""
        if isinstance(file, StoredFile):
            return await self._delivery.send(proto, headers, name, file, body=body)
        asked = answered(proto, headers, name, file.size_bytes, body=body)
        if isinstance(asked, int):
            return asked
        if asked is None:
            fields = whole_fields(name, file.size_bytes)
            content = whole(name.content_type, file.size_bytes)
            return await self._send(proto, 200, fields, content, file)
        return await self._send_ranges(proto, name, file, asked)

    async def _send_ranges(
        self, proto: HTTPProtocol, name: ContentName, file: Assembled, ranges: list[ByteRange]
    ) -> int:
        content = partial(name.content_type, file.size_bytes, ranges)
        fields = part_fields(name, content)
        slices = file.slices(ranges[0])
        first = next(slices)
        if len(ranges) == 1 and next(slices, None) is None:
            # One segment, as players of playlists ask for: its own file is the answer.
            found = await file.open(first.part)
            if isinstance(found, StoredFile):
                return send_part(proto, fields, found, first.bytes)
        return await self._send(proto, 206, fields, content, file)

    async def _send(
        self, proto: HTTPProtocol, status: int, fields: Fields, content: Body, file: Assembled
    ) -> int:
        if content.length < SHORT_BYTES:
            proto.response_bytes(status, fields, await self._feeds.read(content, file))
            return status
        if self._feeds.full:
            raise TooManyDownloadsError
        await self._feeds.send(
            content, file, lambda path: proto.response_file(status, fields, path)
        )
        return status
