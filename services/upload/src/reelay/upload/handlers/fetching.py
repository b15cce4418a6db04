"""One try at fetching a file: from where the last one ended, when the server lets us."""

import hashlib
from dataclasses import dataclass, replace
from http import HTTPStatus

from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage.port import ObjectMissingError
from reelay.upload.domain.errors import ExcessError
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.imports import Import, Imports
from reelay.upload.domain.known_start import KnownStart
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.remote import (
    Answer,
    Fetcher,
    FileChangedError,
    RefusedByServerError,
    RemoteError,
    StalledError,
    UnusableAnswerError,
    UnusableRangeError,
    content_range,
    parse_url,
    strong_validator,
)
from reelay.upload.domain.upload import State, Upload
from reelay.upload.handlers.receiving import Receiving
from reelay.upload.handlers.remote_body import Pace, RemoteBody

HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Reelay"}
TRY_AGAIN = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)


@dataclass(frozen=True)
class Fetching:
    """Fetches into an upload that is held."""

    imports: Imports
    fetcher: Fetcher
    receiving: Receiving
    limits: Limits
    pace: Pace

    async def fetch(self, job: Import, hold: Hold) -> None:
        """Fetch what is missing, or as much of it as comes, and finish the upload at the end.

        Raises RemoteError when another try may help, PermanentError when none will.
        """
        uploads = self.receiving.means.uploads
        upload = await uploads.find(job.upload_id)
        if upload.state is State.RECEIVING and not upload.waits_to_be_finished:
            left_s = self.pace.time_limit_s - job.running_s
            if left_s <= 0:
                raise self.pace.too_slow()
            received = await self._receive(job, upload, hold, left_s)
            if received is None:
                return
            upload = received
        if upload.state is State.RECEIVING and upload.size_bytes is None:
            self.limits.check_size(upload.offset_bytes)
            upload = await uploads.advance(upload, upload.with_length(upload.offset_bytes))
        if upload.waits_to_be_finished:
            await self.receiving.finish(upload)

    async def _receive(
        self, job: Import, upload: Upload, hold: Hold, left_s: float
    ) -> Upload | None:
        """Return the upload when all came, None when somebody else wants to hold it."""
        answer = await self._ask(job, upload, hold, left_s)
        if answer is None:
            return None
        try:
            known = await self._check_answer(job, upload, answer)
            upload = await self._take_size(upload, answer)
            body = RemoteBody(answer, known, self.pace, left_s)
            upload = await self.receiving.receive(upload, body, hold)
        except ExcessError as error:
            raise FileChangedError from error
        finally:
            await answer.close()
        if answer.status == HTTPStatus.OK and known.passed:
            await self.imports.note_validator(job.upload_id, strong_validator(answer.headers))
        if body.trouble is not None:
            raise body.trouble
        if not body.all_came:
            return None
        if upload.size_bytes not in (None, upload.offset_bytes):
            raise RemoteError("The server sent less than it announced.")
        return upload

    async def _ask(self, job: Import, upload: Upload, hold: Hold, left_s: float) -> Answer | None:
        headers = dict(HEADERS)
        if upload.offset_bytes and job.validator is not None:
            headers |= {"Range": f"bytes={upload.offset_bytes}-", "If-Range": job.validator}
        try:
            async with hold.waiting_for_client(min(self.pace.stall_limit_s, left_s)):
                return await self.fetcher.fetch(parse_url(job.url), headers)
        except TimeoutError as error:
            if hold.asked_to_let_go:
                return None
            raise StalledError("The server does not answer in time.") from error

    async def _check_answer(self, job: Import, upload: Upload, answer: Answer) -> KnownStart:
        """Return what the answer repeats of what is stored; raise when it is no file."""
        coding = answer.headers.get("content-encoding", "identity").lower()
        if coding != "identity":
            raise UnusableAnswerError(f"The server sends the file encoded ({coding[:50]}).")
        ranged = upload.offset_bytes > 0 and job.validator is not None
        if answer.status == HTTPStatus.OK:
            known = await self._known_start(upload)
            # It may be another file: its validator stands for what is stored only when that passed.
            validator = strong_validator(answer.headers) if known.passed else None
            await self.imports.note_validator(job.upload_id, validator)
            return known
        if ranged and answer.status == HTTPStatus.PARTIAL_CONTENT:
            found = content_range(answer.headers)
            if found is not None and found[0] == upload.offset_bytes:
                return KnownStart()
        if ranged and answer.status in (
            HTTPStatus.PARTIAL_CONTENT,
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        ):
            await self.imports.note_validator(job.upload_id, None)
            raise UnusableRangeError
        said = f"The server answers with status {answer.status}."
        if answer.status in TRY_AGAIN or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RemoteError(said)
        raise RefusedByServerError(said)

    async def _take_size(self, upload: Upload, answer: Answer) -> Upload:
        """Note the file's size as soon as the server tells it, so that limits hold at once."""
        size_bytes = _whole_size(answer)
        if size_bytes is None:
            return upload
        if upload.size_bytes is not None:
            if upload.size_bytes != size_bytes:
                raise FileChangedError
            return upload
        self.limits.check_size(size_bytes)
        if size_bytes < upload.offset_bytes:
            raise FileChangedError
        uploads = self.receiving.means.uploads
        return await uploads.advance(upload, replace(upload, size_bytes=size_bytes))

    async def _known_start(self, upload: Upload) -> KnownStart:
        means = self.receiving.means
        parts = await means.uploads.parts(upload.id)
        pieces = [(PART_SIZE_BYTES, part.digest) for part in parts]
        if upload.tail_key is not None:
            tail = hashlib.sha256()
            try:
                async for block in means.store.read(upload.tail_key):
                    tail.update(block)
            except ObjectMissingError:
                return KnownStart(pieces)  # found out, and noted, by who takes the tail back
            pieces.append((upload.tail_bytes, tail.digest()))
        return KnownStart(pieces)


def _whole_size(answer: Answer) -> int | None:
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        found = content_range(answer.headers)
        return None if found is None else found[1]
    length = answer.headers.get("content-length")
    if length is None or "transfer-encoding" in answer.headers:
        return None
    return int(length)
