import json

import pytest

from reelay.standalone import loglines
from reelay.standalone.loglines import Level


def test_a_structlog_line_gives_text_level_fields_and_traceback() -> None:
    line = loglines.structured(
        json.dumps(
            {"event": "chunk failed", "level": "error", "timestamp": "now", "service": "encoder",
             "task": "7", "exception": "Traceback"}
        )
    )  # fmt: skip
    assert (line.text, line.level, line.traceback) == ("chunk failed", Level.ERROR, "Traceback")
    assert line.fields == {"task": "7"}


@pytest.mark.parametrize("raw", ["Traceback (most recent call last):", "{not json", "[1]", "{}x"])
def test_a_line_of_a_service_that_is_not_structured_matters(raw: str) -> None:
    assert loglines.structured(raw) == loglines.LogLine(raw, Level.WARNING)


def test_a_request_in_caddys_log_is_named_without_its_headers() -> None:
    request = {"method": "GET", "uri": "/x", "headers": {"Cookie": ["secret"]}}
    line = loglines.structured(json.dumps({"level": "error", "msg": "no", "request": request}))
    assert line.fields == {"request": "GET /x"}


@pytest.mark.parametrize(
    ("raw", "level"),
    [
        ("[12] 2026/11/21 02:07:19.210000 [INF] Server is ready", Level.INFO),
        ("[12] 2026/11/21 02:07:19.210000 [WRN] Server is ready", Level.WARNING),
        ("[12] 2026/11/21 02:07:19.210000 [FTL] Server is ready", Level.ERROR),
    ],
)
def test_nats_lines_have_levels(raw: str, level: Level) -> None:
    assert loglines.nats(raw) == loglines.LogLine("Server is ready", level)


@pytest.mark.parametrize(
    ("raw", "level"),
    [
        ("LOG:  checkpoint complete", Level.INFO),
        ("ERROR:  duplicate key", Level.INFO),
        ("PANIC:  could not write", Level.ERROR),
        ("FATAL:  out of memory", Level.WARNING),
        ("FATAL:  the database system is starting up", Level.INFO),
        ("DETAIL:  Key (id)=(1) already exists.", None),
    ],
)
def test_postgres_lines_have_levels(raw: str, level: Level | None) -> None:
    assert loglines.postgres(raw).level == level
