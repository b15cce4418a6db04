"""A server that speaks as much of Reelay's interface as the command line uses, and misbehaves."""

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "good"
RENDITIONS = {"360p": {"stored": 1, "total": 4}, "720p": {"stored": 0, "total": 4}}


@dataclass
class FakeReelay:
    """What the server knows, and how it shall misbehave."""

    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)
    """`Upload-Offset` of every PATCH."""
    drop_after: list[int] = field(default_factory=list)
    """Each entry ends one PATCH after so many bytes, with a closed connection."""
    slow_s: float = 0.0
    """Pause per 64 KiB received."""
    outcome: str = "ready"
    storage_full: bool = False
    is_no_video: bool = False
    """Answer 415 to everything after the first block, and listen no longer."""
    writing: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one PATCH that may write; what a dead client left in the socket counts too."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def finish(self, video_id: str) -> None:
        """Encode: playable at once, and ready or failed half a second later."""
        links = {
            "hls": "/api/v1/content/p/master.m3u8",
            "dash": "/api/v1/content/p/manifest.mpd",
            "hosts": [{"url": "https://cdn.example", "weight": 1.0}],
        }
        final = {"ready": {"progress": 1.0}, "failed": {"reason": "The file holds no video."}}
        if self.outcome == "ready":
            self.update(
                video_id, state="playable", progress=0.25, playback=links, renditions=RENDITIONS
            )
            time.sleep(0.5)
        self.update(video_id, state=self.outcome, **final[self.outcome])

    def update(self, video_id: str, **changes: Any) -> None:
        with self.changed:
            self.videos[video_id].update(changes)
            self.changed.notify_all()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    reelay: FakeReelay

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def problem(self, status: int, detail: str) -> None:
        self.close_connection = True
        self.answer(status, {"detail": detail}, Connection="close")

    def refused(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {TOKEN}":
            return False
        self.problem(401, "This token is not valid.")
        return True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.refused():
            return
        if self.path == "/api/v1/videos":
            video_id = f"video-{len(self.reelay.videos) + 1}"
            video = {"id": video_id, **json.loads(body), "state": "draft"}
            self.reelay.videos[video_id] = video
            self.answer(201, video)
            return
        if self.reelay.storage_full:
            self.problem(507, "The object store has no room left.")
            return
        pairs = (pair.split(" ") for pair in self.headers["Upload-Metadata"].split(","))
        metadata = {key: base64.b64decode(value).decode() for key, value in pairs}
        name = f"upload-{len(self.reelay.uploads) + 1}"
        self.reelay.uploads[name] = bytearray()
        self.reelay.lengths[name] = int(self.headers["Upload-Length"])
        self.reelay.metadata[name] = metadata
        self.reelay.videos[metadata["video_id"]]["state"] = "uploading"
        # As a server behind a proxy that does not know its public name.
        self.answer(201, Location=f"http://internal:1/api/v1/uploads/{name}")

    def do_HEAD(self) -> None:
        with self.reelay.writing:
            stored = self.reelay.uploads.get(self.path.rpartition("/")[2])
        if self.reelay.is_no_video:
            self.close_connection = True
            self.answer(415, Connection="close")
        elif stored is None:
            self.answer(410)
        else:
            self.answer(200, Upload_Offset=str(len(stored)))

    def do_PATCH(self) -> None:
        if self.refused():
            return
        if video := self.reelay.videos.get(self.path.rpartition("/")[2]):
            length = int(self.headers["Content-Length"])
            self.reelay.update(video["id"], **json.loads(self.rfile.read(length)))
            self.answer(200, video)
            return
        with self.reelay.writing:
            self.write(self.path.rpartition("/")[2])

    def write(self, name: str) -> None:
        stored = self.reelay.uploads[name]
        offset = int(self.headers["Upload-Offset"])
        self.reelay.offsets.append(offset)
        if offset != len(stored):
            self.problem(409, "The offset does not fit.")
            return
        wanted = int(self.headers["Content-Length"])
        limit = self.reelay.drop_after.pop(0) if self.reelay.drop_after else wanted + 1
        if self.reelay.is_no_video:
            self.rfile.read1(min(65536, wanted))
            self.problem(415, "This is no video.")
            return
        while wanted and (block := self.rfile.read1(min(65536, wanted))):
            stored.extend(block[:limit])
            wanted -= len(block)
            limit -= len(block)
            if limit <= 0:
                self.close_connection = True
                return
            time.sleep(self.reelay.slow_s)
        if wanted:
            self.close_connection = True
            return
        if len(stored) == self.reelay.lengths[name]:
            # Whether or not the client is there to hear it.
            video_id = self.reelay.metadata[name]["video_id"]
            threading.Thread(target=self.reelay.finish, args=(video_id,)).start()
        self.answer(204, Upload_Offset=str(len(stored)))

    def do_GET(self) -> None:
        if self.path.startswith("/api/v1/events"):
            self.events(self.path.rpartition("=")[2])
        elif video := self.reelay.videos.get(self.path.rpartition("/")[2]):
            self.answer(200, video)
        else:
            self.problem(404, "There is no such video.")

    def events(self, video_id: str) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        said = ""
        with self.reelay.changed:
            while said not in ("ready", "failed"):
                state = self.reelay.videos[video_id]["state"]
                if state != said:
                    said = state
                    self.wfile.write(f'event: video\ndata: {{"state": "{state}"}}\n\n'.encode())
                    self.wfile.flush()
                    continue
                self.reelay.changed.wait(10)


class QuietServer(ThreadingHTTPServer):
    """Clients that go away are what the tests are about."""

    def handle_error(self, *_: Any) -> None:
        """Say nothing."""
