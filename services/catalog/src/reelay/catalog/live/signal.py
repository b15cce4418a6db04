"""Tells all replicas of the catalog that there is something new in the log of changes."""

import nats.errors
import structlog

from reelay.common.message import Message
from reelay.common.messaging import Messaging

LOG = structlog.get_logger()


class VideosChanged(Message):
    """The log of changes has grown (plain NATS, between replicas of the catalog only)."""

    subject = "catalog.videos-changed"

    revision: int


class Signal:
    """Wakes the hubs of all replicas.

    Only a hint: a replica that misses it finds the change by itself, a little later.
    """

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging

    async def send(self, revision: int) -> None:
        """Tell whoever listens now; a broker that does not answer is no error."""
        try:
            await self._messaging.tell(VideosChanged(revision=revision))
        except (nats.errors.Error, OSError) as error:
            LOG.debug("replicas will find the change later", error=repr(error))
