"""Whatever anybody asks: no server error, and answers as the catalog's OpenAPI document says."""

from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelay.common.testing.fuzzing import fuzz

from .system import Catalog

pytestmark = pytest.mark.integration

EVENTS = "/api/v1/events"
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
NUMBERS = st.sampled_from(["0", "-1", "1e3", "9" * 30, "\u00b2", "007", str(2**63)])


@pytest.mark.parametrize("who", ["administrator", "nobody"])
def test_answers_are_as_documented(shared_catalog: Catalog, tmp_path: Path, who: str) -> None:
    token = shared_catalog.token_file.read_text().strip() if who == "administrator" else None
    fuzz(shared_catalog.url, tmp_path, token=token, exclude=[EVENTS])  # which have no end


@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.none() | TEXT | st.uuids().map(str), st.none() | TEXT | NUMBERS, st.none() | TEXT)
def test_live_updates_begin_or_are_refused(
    shared_catalog: Catalog, video_id: str | None, last_event_id: str | None, token: str | None
) -> None:
    fields = {"last-event-id": last_event_id, "authorization": token and f"Bearer {token}"}
    headers = [
        (name.encode(), text.strip().encode("latin-1"))
        for name, text in fields.items()
        if text is not None
    ]
    query = {} if video_id is None else {"video_id": video_id}
    url = shared_catalog.url + EVENTS
    with httpx.stream("GET", url, params=query, headers=headers, timeout=30) as answer:
        assert answer.status_code in (200, 401, 404, 422)
        if answer.status_code == 200:
            assert answer.headers["content-type"].startswith("text/event-stream")
            return
        assert answer.headers["content-type"] == "application/problem+json"
        answer.read()
        assert answer.json()["detail"]
