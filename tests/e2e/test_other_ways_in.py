"""A file that is imported, or sent to the store part by part, becomes a video like any other."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelay.common.testing.media import Media
from reelay.common.testing.servers import wait_until

from .conftest import Instance, start_instance

pytestmark = pytest.mark.e2e


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, says nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on a port of its own; yield its URL."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def importing_instance(tmp_path: Path) -> Iterator[Instance]:
    """A system that may import from this machine."""
    running = start_instance(tmp_path / "data", UPLOAD_IMPORT_ALLOWED_NETWORKS="127.0.0.1/32")
    yield running
    running.stop()


def until_ready(instance: Instance, video_id: str) -> dict[str, Any]:
    def ended() -> bool:
        return instance.video(video_id)["state"] in ("ready", "failed")

    wait_until(ended, "the video is ready", 120)
    video = instance.video(video_id)
    assert video["state"] == "ready", video
    return video


def test_imported_and_presigned_files_become_the_same_package(
    importing_instance: Instance, media: Media
) -> None:
    file = media.numbered(4)
    headers = {"authorization": f"Bearer {importing_instance.token}"}
    with httpx.Client(base_url=importing_instance.url, headers=headers, timeout=30) as client:

        def send(path: str, **body: object) -> dict[str, Any]:
            answer = client.post(path, json=body)
            assert answer.is_success, answer.text
            document: dict[str, Any] = answer.json()
            return document

        imported = send("/api/v1/videos", title="imported")["id"]
        with serving(file.parent) as url:
            begun = send("/api/v1/imports", url=f"{url}/{file.name}", video_id=imported)
            first = until_ready(importing_instance, imported)
        state = client.get(f"/api/v1/imports/{begun['id']}").json()
        assert (state["state"], state["filename"]) == ("complete", file.name)
        assert state["received_bytes"] == file.stat().st_size

        presigned = send("/api/v1/videos", title="presigned")["id"]
        data = file.read_bytes()
        parts = [{"number": 1, "sha256": hashlib.sha256(data).hexdigest()}]
        path = "/api/v1/uploads/presigned"
        begun = send(path, size_bytes=len(data), video_id=presigned, parts=parts)
        [link] = begun["parts"]
        answer = httpx.put(importing_instance.url + link["url"], content=data, timeout=30)
        assert answer.status_code == 200, "without a token"
        done = send(f"{path}/{begun['id']}/complete")
        assert done["state"] == "complete"
        second = until_ready(importing_instance, presigned)
    assert second["package_id"] == first["package_id"]


def test_nothing_is_imported_from_this_machine_unless_that_is_set(instance: Instance) -> None:
    answer = httpx.post(
        f"{instance.url}/api/v1/imports",
        json={"url": f"{instance.url}/api/v1/videos"},
        headers={"authorization": f"Bearer {instance.token}"},
        timeout=30,
    )
    assert (answer.status_code, answer.json()["type"]) == (422, "private-address")
