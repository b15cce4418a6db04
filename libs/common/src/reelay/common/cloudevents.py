"""CloudEvents 1.0 in NATS binary mode: attributes as headers, the data as JSON body.

Source: CloudEvents NATS protocol binding 1.0.2, section 3.1.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from opentelemetry.propagate import inject

from reelay.common.identity import new_id
from reelay.common.message import Message


@dataclass(frozen=True)
class Envelope:
    """A message as it goes over the wire."""

    subject: str
    headers: dict[str, str]
    body: bytes


def wrap(message: Message, *, source: str, message_id: str | UUID | None = None) -> Envelope:
    """Return the envelope of `message`.

    `message_id` becomes the `Nats-Msg-Id`, by which JetStream drops duplicates within two
    minutes; the trace context of the caller travels along.
    """
    identity = str(message_id or new_id())
    headers = {
        "ce-specversion": "1.0",
        "ce-id": identity,
        "ce-source": f"/reelay/{source}",
        "ce-type": message.ce_type(),
        "ce-time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
        "Nats-Msg-Id": identity,
    }
    inject(headers)
    return Envelope(message.to_subject(), headers, message.model_dump_json().encode())
