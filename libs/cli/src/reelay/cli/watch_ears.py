"""Who learns of a package that is watched, and how messages about it are read for them."""

import contextlib
from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from pydantic import ValidationError

from reelay.common.commands import (
    DemandWithdrawn,
    EncodeChunk,
    EncoderAlive,
    Lane,
    SegmentDemanded,
    ViewersSeen,
)
from reelay.common.events import (
    ManifestUpdated,
    PackagePlanned,
    PackageRemoved,
    SegmentFailed,
    SegmentReady,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.message import Message

WORK_SUBJECTS = f"{EncodeChunk.subject}.>"
MODELS: dict[str, type[Message]] = {
    model.subject: model
    for model in (
        PackagePlanned, ManifestUpdated, TranscodeCompleted, TranscodeFailed, PackageRemoved,
        SegmentFailed, SegmentDemanded, DemandWithdrawn, ViewersSeen, EncoderAlive,
    )
} | {SegmentReady.subject.replace("*", lane): SegmentReady for lane in Lane}  # fmt: skip


class Ears(Protocol):
    """Who learns of a package; times are seconds since the epoch."""

    def hear(self, message: Message, at: float) -> None:
        """Hear a message that was sent or came at `at`."""
        ...

    def forget_until(self, at: float) -> None:
        """Know that an earlier package of this id was removed at `at`, with all that was told."""
        ...

    def see_work(self, tasks: Collection[UUID], at: float) -> None:
        """See which tasks of the package lay in the queue at `at`, in an encoder's hands or not."""
        ...

    def catch_up(self) -> None:
        """Know that the past is told."""
        ...


def pass_on(subject: str, body: bytes, ears: Ears, at: float) -> Message | None:
    """Return the message that was passed on; None for one that nobody watches or can read."""
    model = EncodeChunk if subject.startswith(f"{EncodeChunk.subject}.") else MODELS.get(subject)
    if model is not None:
        # What cannot be read is from another version; the map does without.
        with contextlib.suppress(ValidationError):
            message = model.model_validate_json(body)
            ears.hear(message, at)
            return message
    return None
