"""What happens when somebody asks for an object of a package."""

from http import HTTPStatus

from reelay.common.errors import NotFoundError, PermanentError
from reelay.content_api.domain.names import INDEX, ContentName
from reelay.content_api.domain.ports import Demand, Failures, Files, Found, Plans, StoredFile
from reelay.content_api.domain.promises import Promises
from reelay.content_api.handlers.waiting import NotYetError, Visitor, WaitingLimits, WaitingRoom

FAILURE_AGE_S = 1.0
"""How old the answer may be that a package did not fail, for those who wait anyway."""


class PackageFailedError(PermanentError):
    """This video could not be processed."""

    status = HTTPStatus.GONE
    problem = "package-failed"


class Library:
    """All packages, as far as they may be seen."""

    def __init__(
        self,
        files: Files,
        plans: Plans,
        failures: Failures,
        demand: Demand,
        limits: WaitingLimits,
    ) -> None:
        self._files = files
        self._plans = plans
        self.failures = failures
        self.waiting = WaitingRoom(self._look, self._glance, demand, limits)

    def at_hand(self, name: ContentName, *, soon: bool = False) -> StoredFile | None:
        """Return the object's file when that can be told without waiting: nearly always.

        Otherwise, if it is wanted `soon`, begin to find it, if that needs nothing else before.
        """
        promises = self._plans.known(name.package_id)
        if promises is None or not promises.served(name.path):
            return None
        file = self._files.peek(name.key)
        if file is None and soon:
            self._files.anticipate(name.key)
        return file

    async def fetch(self, name: ContentName, who: Visitor | None) -> Found:
        """Return the object's file; wait for it when it is promised, if somebody waits.

        Raises NotFoundError for what was never promised, PackageFailedError for what will never
        exist, NotYetError and TooManyWaitingError for what may exist later, ClientGoneError.
        """
        promises = self._plans.known(name.package_id) or await self._plans.read(name.package_id)
        if promises is None:
            await self._raise_if_failed(name.package_id)
            raise NotFoundError
        if not promises.served(name.path):
            raise NotFoundError
        if file := await self._look(name, FAILURE_AGE_S if who else 0.0):
            return file
        # A plan kept from before says nothing of a package that was deleted since.
        promises = await self._plans.read(name.package_id)
        if promises is None or not promises.promised(name.path):
            raise NotFoundError
        if who is None:
            raise NotYetError
        return await self.waiting.wait(name, promises.rendition_of(name.path), who)

    async def whole(self, package_id: str) -> Promises | None:
        """Return what a package promises if all of it is there; None while it is being made.

        Raises NotFoundError for a package that does not exist, PackageFailedError.
        """
        promises = self._plans.known(package_id) or await self._plans.read(package_id)
        if promises and await self._files.find(ContentName(package_id, INDEX).key):
            return promises
        await self._raise_if_failed(package_id)
        # A plan kept from before says nothing of a package that was deleted since.
        if await self._plans.read(package_id) is None:
            raise NotFoundError
        return None

    def forget(self, package_id: str) -> None:
        """Drop all that is kept of a package: it was removed, and may be made anew."""
        self._files.forget(package_id)
        self._plans.forget(package_id)
        self.failures.forget(package_id)
        self.waiting.dismiss(package_id)

    async def _look(self, name: ContentName, failure_age_s: float = FAILURE_AGE_S) -> Found | None:
        if file := await self._files.find(name.key):
            return file
        await self._raise_if_failed(name.package_id, failure_age_s)
        return None

    async def _glance(self, name: ContentName) -> bool:
        """Tell whether an object exists; of a package one in many asks whether it failed."""
        if await self._files.exists(name.key):
            return True
        await self._raise_if_failed(name.package_id, FAILURE_AGE_S)
        return False

    async def _raise_if_failed(self, package_id: str, max_age_s: float = 0.0) -> None:
        reason = await self.failures.reason(package_id, max_age_s=max_age_s)
        if reason is not None:
            raise PackageFailedError(reason)
