"""The broker, without which everything that exists is served all the same."""

import asyncio
import contextlib
from uuid import uuid4

import nats.errors
import structlog

from reelay.common.commands import DemandWithdrawn, SegmentDemanded, ViewerSeen, ViewersSeen
from reelay.common.message import Message
from reelay.common.messaging import Messaging
from reelay.content_api.domain.names import ContentName

RETRY_S = 1.0

log = structlog.get_logger()


class BrokerDemand:
    """Tells packagers that somebody waits; says nothing while there is no connection."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging
        self._teller = uuid4().hex
        """Tells this process from others at which the same viewer may wait for the same object."""
        self.connected = asyncio.Event()
        """Set as soon as there was a connection."""

    async def connect(self) -> None:
        """Connect as soon as the broker answers, and stay so until cancelled.

        Not `Messaging.start`, which declares streams: this service only hears and tells plain
        messages, and a broker whose JetStream is not ready must not keep it from doing so.
        """
        log.info("connecting to the broker")
        while not self.connected.is_set():
            try:
                await self._messaging.broker.start()
                self.connected.set()
                log.info("connected to the broker")
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.warning("broker does not answer", error=repr(error))
                await asyncio.sleep(RETRY_S)
        await asyncio.Event().wait()

    async def tell(self, name: ContentName, viewer: str) -> None:
        """Demand an object. A message that cannot be sent now is worthless later: it is dropped."""
        await self._send(
            SegmentDemanded(
                package_id=name.package_id, path=name.path, viewer=viewer, teller=self._teller
            )
        )

    async def withdraw(self, name: ContentName, viewer: str) -> None:
        """Tell that a viewer left. Without that the demand lapses by itself."""
        await self._send(
            DemandWithdrawn(
                package_id=name.package_id, path=name.path, viewer=viewer, teller=self._teller
            )
        )

    async def tell_viewers(self, package_id: str, viewers: list[ViewerSeen]) -> None:
        """Tell whoever asked where the viewers of a package are."""
        await self._send(ViewersSeen(package_id=package_id, viewers=viewers))

    async def _send(self, message: Message) -> None:
        if not self.connected.is_set() or not self._messaging.client.is_connected:
            return
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._messaging.tell(message)
