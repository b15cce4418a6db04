"""Tells the other replicas that an upload is wanted: whoever waits for its client gives way."""

from contextlib import suppress
from uuid import UUID

import nats.errors

from reelay.common.message import Message
from reelay.common.messaging import Messaging
from reelay.upload.adapters.holding import PostgresHolding


class UploadWanted(Message):
    """A request wants to hold an upload that another replica holds (plain NATS, never stored)."""

    subject = "upload.wanted"

    upload_id: UUID
    urgent: bool = False


def connect(holding: PostgresHolding, messaging: Messaging) -> None:
    """Let `holding` ask the other replicas, and hear them. Without a broker locks still hold."""

    async def ask(upload_id: UUID, urgent: bool) -> None:
        with suppress(nats.errors.Error, OSError):
            await messaging.tell(UploadWanted(upload_id=upload_id, urgent=urgent))

    async def hear(wanted: UploadWanted) -> None:
        holding.give_way(wanted.upload_id, urgent=wanted.urgent)

    holding.ask_others = ask
    messaging.on_plain(UploadWanted, hear)
