"""A client of tus 1.0 that knows when its last byte left, and can wait before it sends it.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0.
"""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from .conftest import Instance

TIMEOUT_S = 120.0
BLOCK_BYTES = 1024 * 1024


class Upload:
    """One file for one new video, the administrator's or a token's; `begin` announces both."""

    def __init__(self, instance: Instance, source: Path, token: str = "") -> None:
        self.video_id = ""
        self.ended_at = 0.0
        """When the last byte was handed to the kernel, by `time.monotonic`."""
        self._content = source.read_bytes()
        self._title = source.stem
        self._url = ""
        self._http = httpx.Client(
            base_url=instance.url,
            headers={
                "authorization": f"Bearer {token or instance.token}",
                "tus-resumable": "1.0.0",
            },
            timeout=TIMEOUT_S,
        )

    def begin(self) -> "Upload":
        """Draft the video and announce the length of its file."""
        drafted = self._http.post("/api/v1/videos", json={"title": self._title})
        self.video_id = drafted.raise_for_status().json()["id"]
        name = base64.b64encode(self.video_id.encode()).decode()
        created = self._http.post(
            "/api/v1/uploads",
            headers={
                "upload-length": str(len(self._content)),
                "upload-metadata": f"video_id {name}",
            },
        )
        self._url = created.raise_for_status().headers["location"]
        return self

    def send(self, before_last_byte: Callable[[], object] = lambda: None) -> None:
        """Send the file; everybody else may be waited for before its last byte."""
        sent = self._http.patch(
            self._url,
            content=self._blocks(before_last_byte),
            headers={
                "upload-offset": "0",
                "content-type": "application/offset+octet-stream",
                "content-length": str(len(self._content)),
            },
        )
        sent.raise_for_status()
        self._http.close()

    def _blocks(self, before_last_byte: Callable[[], object]) -> Iterator[bytes]:
        for start in range(0, len(self._content) - 1, BLOCK_BYTES):
            yield self._content[start : min(start + BLOCK_BYTES, len(self._content) - 1)]
        before_last_byte()
        yield self._content[-1:]
        # The transport asks for more when the last byte is sent.
        self.ended_at = time.monotonic()
