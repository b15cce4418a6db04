"""Reads, replays and drops the messages that no handler could digest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import nats.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError
from pydantic import ValidationError

from reelay.cli import quantities
from reelay.cli.errors import CommandError, InstanceMissingError
from reelay.cli.status import find_instance
from reelay.common.commands import DeadLetter
from reelay.common.identity import new_id
from reelay.common.streams import DEADLETTERS
from reelay.standalone.joining import nats_url
from reelay.standalone.settings import Settings

STREAM = str(DEADLETTERS.name)
SUBJECTS = f"{DeadLetter.subject}.>"
TIMEOUT_S = 5


class LetterMissingError(CommandError):
    """There is no dead letter with this number."""


@dataclass(frozen=True)
class StoredLetter:
    """A dead letter in its stream."""

    number: int
    """Its sequence number in the stream, by which commands name it."""
    written_at: datetime
    letter: DeadLetter

    @property
    def age_s(self) -> float:
        """Time since the handler gave up."""
        return (datetime.now(UTC) - self.written_at).total_seconds()

    def as_json(self) -> dict[str, Any]:
        """Return everything about it."""
        about = {"number": self.number, "written_at": self.written_at.isoformat()}
        return about | self.letter.model_dump(mode="json")

    def as_line(self) -> str:
        """Return one line for a list."""
        reason = " ".join(self.letter.reason.split())
        return (
            f"{self.number}  {quantities.duration(self.age_s)} ago  {self.letter.handler}  "
            f"{self.letter.original_subject}  {reason[:120]}"
        )


class DeadLetters:
    """The letters of one instance."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream

    async def all(self) -> AsyncIterator[StoredLetter]:
        """Yield every letter, oldest first."""
        number = 0
        while True:
            try:
                raw = await self._jetstream.get_msg(STREAM, number + 1, subject=SUBJECTS, next=True)
            except NotFoundError:
                return
            assert raw.seq is not None
            number = raw.seq
            yield _stored(raw)

    async def get(self, number: int) -> StoredLetter:
        """Return one letter; raises LetterMissingError."""
        try:
            return _stored(await self._jetstream.get_msg(STREAM, number))
        except (NotFoundError, APIError) as error:
            raise LetterMissingError(f"There is no dead letter {number}.") from error

    async def replay(self, number: int) -> StoredLetter:
        """Publish the original message again and remove the letter; raises LetterMissingError.

        The new message id keeps JetStream from taking it for a duplicate; handlers know the fact
        by its `ce-id` and content, as for any message that comes twice.
        """
        stored = await self.get(number)
        letter = stored.letter
        if not letter.original_subject:
            raise CommandError(f"Dead letter {number} cannot be read, so it cannot be replayed.")
        headers = {k: v for k, v in letter.headers.items() if not k.lower().startswith("nats-")}
        headers["Nats-Msg-Id"] = str(new_id())
        await self._jetstream.publish(
            letter.original_subject, letter.body.encode(), headers=headers
        )
        await self._jetstream.delete_msg(STREAM, number)
        return stored

    async def drop(self, number: int) -> StoredLetter:
        """Remove a letter; raises LetterMissingError."""
        stored = await self.get(number)
        await self._jetstream.delete_msg(STREAM, number)
        return stored


@asynccontextmanager
async def open_dead_letters(url: str) -> AsyncIterator[DeadLetters]:
    """Connect to NATS; raises CommandError when it does not answer."""
    try:
        client = await nats.connect(
            url, allow_reconnect=False, connect_timeout=TIMEOUT_S, error_cb=_ignore
        )
    except (OSError, nats.errors.Error) as error:
        raise CommandError(f"NATS does not answer ({error}); see `reelay status`.") from error
    try:
        yield DeadLetters(client.jetstream(timeout=TIMEOUT_S))
    except nats.errors.Error as error:
        raise CommandError(f"NATS refused: {error}") from error
    finally:
        await client.close()


def instance_url(settings: Settings) -> str:
    """Return how to reach NATS of the running instance; raises InstanceMissingError."""
    instance = find_instance(settings.data)
    try:
        return nats_url(settings, instance)
    except (OSError, KeyError) as error:
        raise InstanceMissingError(
            f"The instance in {Path(settings.data)} does not say how to reach NATS ({error})."
        ) from error


def _stored(raw: RawStreamMsg) -> StoredLetter:
    assert raw.seq is not None
    written_at = raw.time or datetime.now(UTC)
    try:
        letter = DeadLetter.model_validate_json(raw.data or b"")
    except ValidationError:
        letter = DeadLetter(
            original_subject="",
            handler=str(raw.subject).removeprefix(f"{DeadLetter.subject}."),
            reason="This letter cannot be read; only dropping it is possible.",
            kind="permanent",
            headers={},
            body=(raw.data or b"").decode(errors="replace"),
        )
    return StoredLetter(raw.seq, written_at, letter)


async def _ignore(_: Exception) -> None:
    """Errors reach us where we wait for an answer; nats-py would also log them."""
