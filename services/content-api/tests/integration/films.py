"""Private videos, and what the catalog says of them."""

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import httpx

from reelay.common.content_access import Access, ContentAccessChanged, Grant, sign_grant
from reelay.common.messaging import Messaging
from reelay.common.tokens import TokenSigner

from .sites import SEGMENT, Site


class Film:
    """A private video of a site's package, and what the catalog says of it."""

    def __init__(self, site: Site, messaging: Messaging | None = None) -> None:
        self.site = site
        self.id = uuid4()
        self.signer = TokenSigner(TokenSigner.new_private_key())
        self._messaging = messaging
        self._revision = 0

    async def prepare(self) -> None:
        await self.signer.publish_key(self.site.store)
        await self.site.plan()
        await self.site.put(SEGMENT, b"secret")

    def token(self, lifetime_s: float = 60, package: str | None = None, by: Any = None) -> str:
        grant = Grant(package or self.site.package, str(self.id), time.time() + lifetime_s)
        return sign_grant(by or self.signer, grant)

    async def get(self, token: str | None = None, path: str = SEGMENT) -> httpx.Response:
        return await self.site.get(path if token is None else f"~{token}/{path}")

    async def status(self, token: str | None = None, path: str = SEGMENT) -> int:
        return (await self.get(token, path)).status_code

    async def tell(self, access: Access, *videos: UUID) -> None:
        """Publish who may fetch the package, as the catalog does."""
        assert self._messaging is not None
        self._revision += 1
        state = ContentAccessChanged(
            package_id=self.site.package,
            access=access,
            video_ids=list(videos),
            revision=self._revision,
        )
        body = state.model_dump_json().encode()
        await self._messaging.jetstream.publish(state.to_subject(), body)

    async def hide(self) -> None:
        """Let only holders of its tokens fetch it; return when requests without are refused."""
        await self.tell(Access.TOKEN, self.id)
        await self.until(404)

    async def until(self, status: int, token: str | None = None, within_s: float = 30) -> float:
        """Return how long it took until requests are answered so."""
        began = time.monotonic()
        while (last := await self.status(token)) != status:
            assert time.monotonic() - began < within_s, f"still {last}"
            await asyncio.sleep(0.01)
        return time.monotonic() - began
