"""Uploads that the next run goes on with."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from reelay.cli.remembered import RememberedUploads, Upload
from reelay.cli.source import SourceFile

SERVER = "http://127.0.0.1:1"
FILE = SourceFile(Path("/films/a.mp4"), 100, 5)
UPLOAD = Upload("video-1", f"{SERVER}/api/v1/uploads/1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reelay" / "uploads.json"


def test_upload_is_found_by_another_process(path: Path) -> None:
    RememberedUploads(path).remember(SERVER, FILE, UPLOAD)
    assert RememberedUploads(path).find(SERVER, FILE) == UPLOAD


def test_changed_file_or_other_server_is_another_upload(path: Path) -> None:
    uploads = RememberedUploads(path)
    uploads.remember(SERVER, FILE, UPLOAD)
    assert uploads.find("http://elsewhere", FILE) is None
    assert uploads.find(SERVER, replace(FILE, size_bytes=101)) is None
    assert uploads.find(SERVER, replace(FILE, mtime_ns=6)) is None
    assert uploads.find(SERVER, replace(FILE, path=Path("/films/b.mp4"))) is None


def test_forgotten_upload_is_gone_and_others_stay(path: Path) -> None:
    uploads = RememberedUploads(path)
    other = replace(FILE, path=Path("/films/b.mp4"))
    uploads.remember(SERVER, FILE, UPLOAD)
    uploads.remember(SERVER, other, UPLOAD)
    uploads.forget(SERVER, FILE)
    uploads.forget(SERVER, FILE)
    assert uploads.find(SERVER, FILE) is None
    assert uploads.find(SERVER, other) == UPLOAD


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "null", '{"x": 1}', '{"x": {"video_id": 1}}', "\ud800"]
)
def test_damaged_file_counts_as_empty_and_is_replaced(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_bytes(content.encode(errors="surrogatepass"))
    uploads = RememberedUploads(path)
    assert uploads.find(SERVER, FILE) is None
    uploads.remember(SERVER, FILE, UPLOAD)
    assert uploads.find(SERVER, FILE) == UPLOAD


def test_very_old_upload_is_forgotten(path: Path) -> None:
    uploads = RememberedUploads(path)
    uploads.remember(SERVER, FILE, UPLOAD)
    entries = json.loads(path.read_text())
    for entry in entries.values():
        entry["at"] = str(int(time.time()) - 31 * 86400)
    path.write_text(json.dumps(entries))
    assert uploads.find(SERVER, FILE) is None


def test_processes_that_write_together_lose_nothing(path: Path) -> None:
    files = [replace(FILE, mtime_ns=number) for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda f: RememberedUploads(path).remember(SERVER, f, UPLOAD), files))
    assert all(RememberedUploads(path).find(SERVER, file) for file in files)
    assert sorted(os.listdir(path.parent)) == ["uploads.json", "uploads.lock"]
