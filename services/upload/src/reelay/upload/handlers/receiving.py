"""Takes the bytes of a request, or of partial uploads, into an upload that is held."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import structlog

from reelay.common.storage.port import AttemptMissingError, InvalidPartsError
from reelay.upload.domain.checksum import Checksum
from reelay.upload.domain.errors import NotMediaError, UploadGoneError
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.upload import State, Upload
from reelay.upload.handlers.completion import Completion
from reelay.upload.handlers.part_queue import Means
from reelay.upload.handlers.reception import Reception
from reelay.upload.handlers.tidying import Tidying

PARTS_LOST = (AttemptMissingError, InvalidPartsError)
"""What the store says when parts were swept, or replaced by a request that had lost its hold."""
LOST = "The stored parts of this upload are lost; begin a new one."

log = structlog.get_logger()


class Body(Protocol):
    """The bytes of one request."""

    @property
    def announced_bytes(self) -> int | None:
        """Number of bytes that the client says it will send, when it does."""
        ...

    @property
    def all_came(self) -> bool:
        """Whether nothing is missing of what the client meant to send; known at the end."""
        ...

    def blocks(self, hold: Hold) -> AsyncIterator[bytes]:
        """Yield what comes, until the end, a broken connection, or the wish to let go."""
        ...


@dataclass(frozen=True)
class Receiving:
    """What is done with an upload while it is held."""

    means: Means
    limits: Limits
    completion: Completion
    tidying: Tidying

    async def receive(
        self, upload: Upload, body: Body, hold: Hold, checksum: Checksum | None = None
    ) -> Upload:
        """Append a body's bytes; return the upload with what is durable then.

        Raises NotMediaError, TooLargeError, ChecksumMismatchError, and UploadGoneError when stored
        parts are lost.
        """
        reception = Reception(upload, self.means, self.limits, checksum, hold.let_go)
        try:
            await reception.take_back_tail()
            async for block in body.blocks(hold):
                await reception.take(block)
            return await reception.keep(self.completion, all_came=body.all_came)
        except NotMediaError as error:
            await reception.close()
            await self.end(reception.upload, State.REFUSED, error.detail)
            raise
        except PARTS_LOST as error:
            await reception.close()
            await self._give_up(reception.upload)
            raise UploadGoneError(LOST) from error
        finally:
            await reception.close()

    async def finish(self, upload: Upload) -> Upload:
        """Finish what a crash, or a length told late, left whole but not joined and announced."""
        if upload.tail_key is not None:
            return await self.receive(upload, NoBody(), Hold())
        try:
            return await self.completion.finish(upload)
        except NotMediaError as error:
            await self.end(upload, State.REFUSED, error.detail)
            raise
        except PARTS_LOST as error:
            await self._give_up(upload)
            raise UploadGoneError(LOST) from error

    async def end(self, upload: Upload, state: State, refusal: str | None = None) -> None:
        """End an unfinished upload and remove its bytes."""
        for ended in await self.means.uploads.end(upload, state, refusal):
            await self.tidying.tidy(ended)

    async def _give_up(self, upload: Upload) -> None:
        log.error("stored parts are lost", upload_id=str(upload.id))
        await self.end(upload, State.TERMINATED)


class NoBody:
    """A request without bytes."""

    announced_bytes: int | None = 0
    all_came = True

    async def blocks(self, hold: Hold) -> AsyncIterator[bytes]:
        """See Body."""
        for block in list[bytes]():
            yield block
