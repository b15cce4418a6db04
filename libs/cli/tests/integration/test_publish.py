"""`reelay publish` as a process, against a server that misbehaves as told."""

import json
import os
import signal
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from reelay.common.testing.servers import free_port, wait_until

from .command import Command

pytestmark = pytest.mark.integration


def events(done: CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def only(kind: str, done: CompletedProcess[str]) -> dict[str, Any]:
    [event] = [event for event in events(done) if event["event"] == kind]
    return event


def test_file_is_uploaded_and_its_address_is_printed(command, server, reelay, film) -> None:
    done = command("publish", str(film))
    assert done.returncode == 0, done.stderr
    assert f"watch it at {server}/api/v1/content/p/master.m3u8" in done.stdout
    assert f"{server}/api/v1/content/p/manifest.mpd" in done.stdout
    assert done.stdout.endswith("My film.mp4: ready\n")
    assert done.stderr == ""
    assert bytes(reelay.uploads["upload-1"]) == film.read_bytes()
    assert reelay.metadata["upload-1"] == {"video_id": "video-1", "filename": "My film.mp4"}
    assert reelay.videos["video-1"]["title"] == "My film"
    assert command.remembered == {}


def test_json_has_one_object_for_every_step(command, server, reelay, film) -> None:
    done = command("publish", "--json", "--title", "Ä title", str(film))
    assert done.returncode == 0, done.stderr
    kinds = [event["event"] for event in events(done) if event["event"] != "progress"]
    assert kinds == ["uploading", "uploaded", "playable", "ready"]
    playable = only("playable", done)
    assert playable["video_id"] == "video-1"
    assert playable["hls"] == f"{server}/api/v1/content/p/master.m3u8"
    assert playable["dash"] == f"{server}/api/v1/content/p/manifest.mpd"
    shown = [event for event in events(done) if event["event"] == "progress"]
    assert any("360p" in event.get("renditions", {}) for event in shown)
    assert reelay.videos["video-1"]["title"] == "Ä title"


@pytest.fixture
def misnamed(command: Command, film: Path, tmp_path: Path) -> Path:
    """A film whose name is not UTF-8, where standard output takes nothing else."""
    command.environment["PYTHONIOENCODING"] = "utf-8:strict"
    return film.rename(tmp_path / os.fsdecode(b"F\xfclm.mp4"))


def test_name_that_is_not_utf8_is_published_with_replacement_characters(
    command, reelay, misnamed, tmp_path
) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(b"other")
    done = command("publish", str(misnamed), str(other))
    assert (done.returncode, done.stderr) == (0, "")
    assert "F\ufffdlm.mp4: ready\n" in done.stdout
    assert "other.mp4: ready\n" in done.stdout
    assert [video["title"] for video in reelay.videos.values()] == ["F\ufffdlm", "other"]
    assert reelay.metadata["upload-1"]["filename"] == "F\ufffdlm.mp4"
    assert command.remembered == {}


def test_title_that_is_not_utf8_is_published_so_too(command, reelay, film) -> None:
    done = command("publish", "--title", os.fsdecode(b"\xfcber"), str(film))
    assert (done.returncode, done.stderr) == (0, "")
    assert reelay.videos["video-1"]["title"] == "\ufffdber"


def test_json_names_what_is_not_utf8_with_replacement_characters(
    command, misnamed, tmp_path
) -> None:
    missing = tmp_path / os.fsdecode(b"\xe9.mp4")
    done = command("publish", "--json", str(misnamed), str(missing))
    assert done.returncode == 1
    assert only("ready", done)["file"] == str(tmp_path / "F\ufffdlm.mp4")
    said = f"{tmp_path}/\ufffd.mp4 cannot be read: No such file or directory."
    assert only("failed", done)["reason"] == said
    assert done.stderr == f"reelay: {said}\n"


def test_visibility_is_told_only_when_it_was_chosen(command, reelay, film) -> None:
    assert command("publish", str(film)).returncode == 0
    assert command("publish", "--visibility", "private", str(film)).returncode == 0
    assert [v.get("visibility") for v in reelay.videos.values()] == [None, "private"]
    assert command("publish", "--visibility", "secret", str(film)).returncode == 2


def test_no_wait_returns_when_it_can_be_watched(command, film) -> None:
    done = command("publish", "--json", "--no-wait", str(film))
    assert done.returncode == 0
    assert events(done)[-1]["event"] == "playable"


def test_dropped_connections_are_gone_on_from_where_the_server_is(command, reelay, film) -> None:
    reelay.drop_after = [700_000, 100_001]
    done = command("publish", "--json", str(film))
    assert done.returncode == 0, done.stderr
    assert bytes(reelay.uploads["upload-1"]) == film.read_bytes()
    assert reelay.offsets == [0, 700_000, 800_001]
    assert len([event for event in events(done) if event["event"] == "interrupted"]) == 2


def test_interrupted_upload_goes_on_at_the_next_call(command, reelay, film) -> None:
    # More than the sockets between the two can hold.
    film.write_bytes(film.read_bytes() * 12)
    reelay.slow_s = 0.05
    first = command.start("publish", str(film))
    wait_until(lambda: any(len(b) > 200_000 for b in reelay.uploads.values()), "some bytes")
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 130
    assert said == (
        "reelay: Stopped: run the same command again and the upload of My film.mp4 goes on.\n"
    )
    assert len(command.remembered) == 1
    reelay.slow_s = 0
    done = command("publish", "--json", "--visibility", "private", str(film))
    assert done.returncode == 0, done.stderr
    assert reelay.videos["video-1"]["visibility"] == "private"
    assert only("uploading", done)["offset"] > 200_000
    assert reelay.offsets[1:] == [only("uploading", done)["offset"]]
    assert bytes(reelay.uploads["upload-1"]) == film.read_bytes()
    assert list(reelay.videos) == ["video-1"]
    assert command.remembered == {}


def test_upload_that_the_server_forgot_begins_anew(command, reelay, film) -> None:
    film.write_bytes(film.read_bytes() * 12)
    reelay.slow_s = 0.05
    first = command.start("publish", str(film))
    wait_until(lambda: any(reelay.uploads.values()), "some bytes")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    reelay.slow_s = 0
    with reelay.writing:
        reelay.uploads = {"other": bytearray()}
    done = command("publish", "--json", str(film))
    assert done.returncode == 0, done.stderr
    assert only("uploading", done)["offset"] == 0
    assert only("ready", done)["video_id"] == "video-2"


def test_interrupted_watching_goes_on_without_a_second_upload(command, reelay, film) -> None:
    reelay.finish = lambda video_id: reelay.update(video_id, state="planned")
    first = command.start("publish", "--json", str(film))
    lines = iter(first.stdout.readline, "")
    assert any('"planned"' in line for line in lines)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 130
    assert "the server goes on with it" in said
    reelay.update("video-1", state="ready", progress=1.0, playback={"hls": "/h", "dash": "/d"})
    done = command("publish", "--json", str(film))
    assert done.returncode == 0
    assert [event["event"] for event in events(done)] == ["progress", "playable", "ready"]
    assert len(reelay.uploads) == 1


def test_failed_video_says_why(command, reelay, film) -> None:
    reelay.outcome = "failed"
    done = command("publish", "--json", str(film))
    assert done.returncode == 1
    assert done.stderr == "reelay: The file holds no video.\n"
    assert only("failed", done)["reason"] == "The file holds no video."
    assert command.remembered == {}


def test_refusal_amid_the_file_is_quoted_and_forgotten(command, reelay, film) -> None:
    film.write_bytes(film.read_bytes() * 12)
    reelay.is_no_video = True
    done = command("publish", str(film))
    assert done.returncode == 1
    assert done.stderr.endswith("says: This is no video.\n")
    assert command.remembered == {}


def test_wrong_token_is_said(command, film) -> None:
    done = command("publish", "--token", "bad", str(film))
    assert done.returncode == 1
    assert "refuses the token: This token is not valid." in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_token_is_said(command, film) -> None:
    del command.environment["REELAY_TOKEN"]
    done = command("publish", str(film))
    assert done.returncode == 1
    assert "REELAY_TOKEN" in done.stderr


def test_administrators_token_is_found(command, film) -> None:
    command.environment["REELAY_TOKEN"] = ""
    Path(command.environment["REELAY_DATA"]).mkdir()
    Path(command.environment["REELAY_DATA"], "admin-token").write_text("good\n")
    assert command("publish", str(film)).returncode == 0


def test_server_that_is_down_is_said(command, film) -> None:
    done = command("publish", "--server", f"http://127.0.0.1:{free_port()}", str(film))
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "reelay up" in done.stderr
    assert done.stderr.count("\n") == 1


def test_problem_document_is_quoted(command, reelay, film) -> None:
    reelay.storage_full = True
    done = command("publish", str(film))
    assert done.returncode == 1
    assert done.stderr.endswith("says: The object store has no room left.\n")


@pytest.mark.parametrize("kind", ["missing", "directory", "empty", "pipe"])
def test_what_is_no_video_file_is_said_and_the_others_go_on(
    command, reelay, film, tmp_path, kind
) -> None:
    bad = tmp_path / kind
    {
        "missing": lambda: None,
        "directory": bad.mkdir,
        "empty": bad.touch,
        "pipe": lambda: os.mkfifo(bad),
    }[kind]()
    done = command("publish", str(bad), str(film))
    assert done.returncode == 1
    assert done.stderr.startswith(f"reelay: {bad} ")
    assert done.stderr.count("\n") == 1
    assert "My film.mp4: ready" in done.stdout
    assert len(reelay.videos) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["publish"],
        ["publish", "--title", "one", "a.mp4", "b.mp4"],
        ["publish", "--server", "nonsense", "a.mp4"],
        ["dead-letters", "drop"],
        ["dead-letters", "replay", "--all", "3"],
        ["no-such-command"],
    ],
)
def test_wrong_usage_has_exit_code_two(command, arguments) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
