"""Decides whether a request may have anything of a package: without a database, without a call."""

import time
from collections.abc import Callable

from reelay.common.errors import ForbiddenError, NotFoundError
from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.access import Restriction, Restrictions, stricter
from reelay.content_api.domain.ports import Marks, Tokens


class LinkExpiredError(ForbiddenError):
    """This link to a private video is too old; ask for the video's playback again."""

    problem = "link-expired"


class Admission:
    """Open packages are for all; others for those with a token of theirs, or for nobody."""

    def __init__(
        self,
        restrictions: Restrictions,
        marks: Marks,
        tokens: Tokens,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` returns POSIX time."""
        self._restrictions = restrictions
        self._marks = marks
        self._tokens = tokens
        self._now = now

    def is_open(self, package_id: str) -> bool:
        """Tell whether a package is known to be open to all; else `admit` says more."""
        if self._restrictions.current:
            return self._restrictions.is_open(package_id)
        return self._restrictions.get(package_id) is None and self._marks.known_open(package_id)

    async def admit(self, package_id: str, token: str | None) -> None:
        """Return when the package may be fetched with this token.

        While the broker is away, marks in the store speak too, and what it said last still holds;
        that alone does while the store is away as well. Raises NotFoundError, as if there were no
        such package; LinkExpiredError for a token that was good before; StoreUnavailableError when
        nobody can be asked and nothing was known before.
        """
        restriction = self._restrictions.get(package_id)
        if not self._restrictions.current:
            restriction = stricter(restriction, await self._marked(package_id))
        if restriction is None:
            return
        grant = None if token is None else await self._tokens.grant(token)
        if grant is None or grant.package_id != package_id or not restriction.admits(grant):
            raise NotFoundError
        if grant.expires_at_s <= self._now():
            raise LinkExpiredError

    async def _marked(self, package_id: str) -> Restriction | None:
        try:
            return await self._marks.restriction(package_id)
        except StoreUnavailableError:
            if self._restrictions.were_current:
                return None
            raise
