import io
import json
from pathlib import Path

import pytest

from reelay.standalone import loglines
from reelay.standalone.console import Console
from reelay.standalone.logfile import LogFile


def console(form: str, folder: Path) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(form, out, folder, ["nats", "content-api"], colour=False), out  # type: ignore[arg-type]


def test_text_shows_warnings_with_an_aligned_name_and_keeps_the_rest_in_the_file(
    tmp_path: Path,
) -> None:
    shown, out = console("text", tmp_path)
    shown.child("nats", "[1] d t [INF] calm", loglines.nats)
    shown.child("nats", "[1] d t [ERR] trouble", loglines.nats)
    shown.close()
    assert out.getvalue() == "nats        │ error: trouble\n"
    assert [line[25:] for line in (tmp_path / "nats.log").read_text().splitlines()] == [
        "calm",
        "error: trouble",
    ]


def test_a_continuation_is_as_severe_as_what_it_continues(tmp_path: Path) -> None:
    shown, out = console("text", tmp_path)
    shown.child("nats", "PANIC:  trouble", loglines.postgres)
    shown.child("nats", "HINT:  buy a disk", loglines.postgres)
    shown.close()
    assert out.getvalue().splitlines()[1] == "nats        │ error: HINT:  buy a disk"


def test_json_shows_every_line_with_its_service(tmp_path: Path) -> None:
    shown, out = console("json", tmp_path)
    shown.child("content-api", '{"event": "served", "level": "info", "n": 1}', loglines.structured)
    shown.child("nats", "[1] d t [INF] calm", loglines.nats)
    shown.say("hello", plain=True)
    shown.close()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["service"], line["level"], line["event"]) for line in lines] == [
        ("content-api", "info", "served"),
        ("nats", "info", "calm"),
        ("reelay", "info", "hello"),
    ]
    assert lines[0]["n"] == 1
    assert json.loads((tmp_path / "content-api.log").read_text()) == lines[0]


def test_a_terminal_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    shown, out = console("text", tmp_path)
    out.close()
    shown.say("hello")
    shown.close()
    assert "hello" in (tmp_path / "reelay.log").read_text()


def test_a_log_file_is_bounded(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "x.log", max_bytes=100)
    for number in range(1000):
        file.write(f"line {number}")
    file.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["x.log", "x.log.1", "x.log.2"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 400
    newest = (tmp_path / "x.log").read_text() or (tmp_path / "x.log.1").read_text()
    assert newest.endswith("line 999\n")


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_that_are_not_unicode_are_kept(tmp_path: Path, form: str) -> None:
    shown, _ = console(form, tmp_path)
    shown.child("nats", "\udcff", loglines.structured)
    shown.close()
    assert (tmp_path / "nats.log").stat().st_size
