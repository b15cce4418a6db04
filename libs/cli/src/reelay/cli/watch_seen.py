"""Who watches a package without waiting: the segments viewers were sent last, as is told of them.

Nobody tells that unless asked, again and again.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import nats.errors
from nats.aio.client import Client

from reelay.common.cloudevents import wrap
from reelay.common.commands import ViewersAsked, ViewersSeen

ASK_EVERY_S = 1.0
SEEN_S = 10.0
"""Players fetch a segment every four seconds; who fetched none for so long left, or paused."""


@dataclass
class Seen:
    """Latest times alone, so that messages may come in any order and number."""

    _latest: dict[str, tuple[float, str]] = field(default_factory=dict)
    """When each viewer was sent its last segment, and that segment's path."""

    def note(self, told: ViewersSeen, at: float) -> None:
        """Note what one process tells."""
        for one in told.viewers:
            sight = (at - one.ago_s, one.path)
            self._latest[one.viewer] = max(self._latest.get(one.viewer, sight), sight)

    def places(self, now: float) -> set[tuple[str, str]]:
        """Return each viewer who was seen, behind the path that was sent to them last."""
        return {(path, viewer) for viewer, (at, path) in self._latest.items() if now - at < SEEN_S}


async def keep_asking(client: Client, package_id: str) -> None:
    """Ask until cancelled where the viewers of a package are."""
    question = wrap(ViewersAsked(package_id=package_id), source="watch")
    question.headers.pop("Nats-Msg-Id")
    while True:
        # Whether the connection is lost is told elsewhere.
        with contextlib.suppress(nats.errors.Error):
            await client.publish(question.subject, question.body, headers=question.headers)
        await asyncio.sleep(ASK_EVERY_S)
