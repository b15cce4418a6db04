"""Who watches a package without waiting: the segments viewers were sent last, as is told of them.

Nobody tells that unless asked, again and again.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import nats.errors
from nats.aio.client import Client

from reelay.common.cloudevents import wrap
from reelay.common.commands import ViewersAsked, ViewersSeen

ASK_EVERY_S = 1.0
SEEN_S = 10.0
"""Players fetch a segment every four seconds; who fetched none for so long left, or paused."""
SOUND = "audio/"

_Sights = dict[str, tuple[float, str]]
"""When each viewer was sent the last segment, and that segment's path."""


@dataclass
class Seen:
    """Latest times alone, so that messages may come in any order and number."""

    _pictures: _Sights = field(default_factory=dict)
    _sounds: _Sights = field(default_factory=dict)

    def note(self, told: ViewersSeen, at: float) -> None:
        """Note what one process tells; forget who was not seen for long."""
        for one in told.viewers:
            sights = self._sounds if one.path.startswith(SOUND) else self._pictures
            sight = (at - one.ago_s, one.path)
            sights[one.viewer] = max(sights.get(one.viewer, sight), sight)
        self._pictures = _fresh(self._pictures, at)
        self._sounds = _fresh(self._sounds, at)

    def places(self, now: float) -> set[tuple[str, str]]:
        """Return each viewer who was seen, behind the path that was sent to them last.

        Sound tells where somebody is who is sent no pictures; another process may send those.
        """
        seen = _fresh(self._sounds, now) | _fresh(self._pictures, now)
        return {(path, viewer) for viewer, (_, path) in seen.items()}


def _fresh(sights: Mapping[str, tuple[float, str]], now: float) -> _Sights:
    return {viewer: sight for viewer, sight in sights.items() if now - sight[0] < SEEN_S}


async def keep_asking(client: Client, package_id: str) -> None:
    """Ask until cancelled where the viewers of a package are."""
    question = wrap(ViewersAsked(package_id=package_id), source="watch")
    question.headers.pop("Nats-Msg-Id")
    while True:
        # Whether the connection is lost is told elsewhere.
        with contextlib.suppress(nats.errors.Error):
            await client.publish(question.subject, question.body, headers=question.headers)
        await asyncio.sleep(ASK_EVERY_S)
