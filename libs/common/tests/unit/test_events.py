"""The events' contract: names, subjects, and documents that tell the truth."""

from pathlib import Path

import pytest

from reelay.common.cloudevents import wrap
from reelay.common.commands import COMMANDS, EncodeChunk
from reelay.common.events import EVENTS, VideoDrafted
from reelay.common.events_docs import markdown, schemas
from reelay.common.identity import new_id
from reelay.common.message import Message

DOCS = Path(__file__).parents[4] / "docs"


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.__name__)
def test_facts_lie_in_the_events_stream_on_a_subject_of_their_own(event: type[Message]) -> None:
    assert event.subject.startswith("events.")
    assert sum(other.subject == event.subject for other in EVENTS) == 1


def test_envelope_is_a_cloudevent_in_binary_mode() -> None:
    drafted = VideoDrafted(video_id=new_id(), owner_id="o", title="t")
    envelope = wrap(drafted, source="catalog", message_id="m")
    assert envelope.headers["ce-specversion"] == "1.0"
    assert envelope.headers["ce-type"] == "reelay.VideoDrafted.v1"
    assert envelope.headers["ce-source"] == "/reelay/catalog"
    assert envelope.headers["ce-id"] == envelope.headers["Nats-Msg-Id"] == "m"
    assert VideoDrafted.model_validate_json(envelope.body) == drafted


def test_unknown_fields_of_newer_senders_are_ignored() -> None:
    drafted = VideoDrafted.model_validate(
        {"video_id": str(new_id()), "owner_id": "o", "title": "t", "colour": "new"}
    )
    assert not hasattr(drafted, "colour")


def test_generated_documents_are_up_to_date() -> None:
    assert (DOCS / "events.md").read_text() == markdown(), "run `make events`"
    written = {path.name: path.read_text() for path in (DOCS / "schemas").glob("*.json")}
    assert written == schemas(), "run `make events`"


def test_work_is_addressed_by_provider_and_lane() -> None:
    assert EncodeChunk in COMMANDS
    assert EncodeChunk.subject == "work.encode"
