"""What `reelay publish` tells while it works: plain lines, or one JSON object a line."""

import json
import sys
import time
from pathlib import Path
from typing import Protocol, TextIO

from reelay.cli import quantities
from reelay.cli.api import Video
from reelay.cli.names import readable
from reelay.cli.source import SourceFile

LINE_INTERVAL_S = 5.0
"""Least time between two plain lines that only tell of progress."""


class Report(Protocol):
    """Hears of every step of one file after the other."""

    def uploading(self, file: SourceFile, video_id: str, offset: int) -> None:
        """Tell that sending begins at `offset`, which is above 0 for a resumed upload."""
        ...

    def sent(self, offset: int) -> None:
        """Tell that the bytes before `offset` were sent."""
        ...

    def interrupted(self, reason: str, delay_s: float) -> None:
        """Tell that the server is asked again in `delay_s`."""
        ...

    def uploaded(self, file: SourceFile, video_id: str, sent_bytes: int, took_s: float) -> None:
        """Tell that the server has all bytes; `sent_bytes` of them came from this run."""
        ...

    def encoding(self, video: Video) -> None:
        """Tell what the server says of the video now."""
        ...

    def playable(self, file: SourceFile, video: Video) -> None:
        """Tell that it can be watched."""
        ...

    def ready(self, file: SourceFile, video: Video) -> None:
        """Tell that all of it is encoded."""
        ...

    def failed(self, path: Path, reason: str, video_id: str | None) -> None:
        """Tell that this file will not be a video."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class PlainReport:
    """Lines for logs and pipes."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._file: SourceFile | None = None
        self._said_at = 0.0
        self._state = ""

    def uploading(self, file: SourceFile, video_id: str, offset: int) -> None:
        """See Report."""
        self._file, self._state, self._said_at = file, "", time.monotonic()
        where = f", going on at {quantities.size(offset)}" if offset else ""
        self.say(f"{file.name}: uploading {quantities.size(file.size_bytes)}{where}")

    def sent(self, offset: int) -> None:
        """See Report."""
        if self._file and self._is_time():
            share = quantities.percent(offset / self._file.size_bytes)
            self.say(f"{self._file.name}: {share} % uploaded")

    def interrupted(self, reason: str, delay_s: float) -> None:
        """See Report."""
        self.say(f"{reason} Trying again in {quantities.duration(delay_s)}.")

    def uploaded(self, file: SourceFile, video_id: str, sent_bytes: int, took_s: float) -> None:
        """See Report."""
        self.say(
            f"{file.name}: uploaded in {quantities.duration(took_s)} "
            f"({quantities.rate(sent_bytes, took_s)})"
        )

    def encoding(self, video: Video) -> None:
        """See Report."""
        changed = video.state != self._state
        if changed or self._is_time():
            self._state, self._said_at = video.state, time.monotonic()
            name = self._file.name if self._file else video.id
            self.say(f"{name}: {video.state}, {quantities.percent(video.progress)} % encoded")

    def playable(self, file: SourceFile, video: Video) -> None:
        """See Report."""
        self.say(f"{file.name}: watch it at {video.hls}")
        self.say(f"{file.name}: or with DASH at {video.dash}")

    def ready(self, file: SourceFile, video: Video) -> None:
        """See Report."""
        self.say(f"{file.name}: ready")

    def failed(self, path: Path, reason: str, video_id: str | None) -> None:
        """Say nothing: the sentence goes to standard error, whatever the form of the report."""

    def close(self) -> None:
        """Do nothing: a line is finished when it is written."""

    def say(self, line: str) -> None:
        """Write one line."""
        self._out.write(line + "\n")
        self._out.flush()

    def _is_time(self) -> bool:
        if time.monotonic() - self._said_at < LINE_INTERVAL_S:
            return False
        self._said_at = time.monotonic()
        return True


class JsonReport:
    """One JSON object per line, for programs."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._progress: tuple[str, int] | None = None

    def uploading(self, file: SourceFile, video_id: str, offset: int) -> None:
        """See Report."""
        self._say("uploading", file.path, video_id, offset=offset, size_bytes=file.size_bytes)

    def sent(self, offset: int) -> None:
        """Say nothing: a line for each block would drown the steps."""

    def interrupted(self, reason: str, delay_s: float) -> None:
        """See Report."""
        self._write({"event": "interrupted", "reason": reason, "retry_in_s": delay_s})

    def uploaded(self, file: SourceFile, video_id: str, sent_bytes: int, took_s: float) -> None:
        """See Report."""
        seconds = round(took_s, 3)
        self._say("uploaded", file.path, video_id, sent_bytes=sent_bytes, seconds=seconds)

    def encoding(self, video: Video) -> None:
        """See Report."""
        progress = video.state, quantities.percent(video.progress)
        if progress == self._progress:
            return
        self._progress = progress
        counts = {
            name: {"stored": stored, "total": total}
            for name, (stored, total) in video.renditions.items()
        }
        self._write(
            {
                "event": "progress",
                "video_id": video.id,
                "state": video.state,
                "progress": video.progress,
                **({"renditions": counts} if counts else {}),
            }
        )

    def playable(self, file: SourceFile, video: Video) -> None:
        """See Report."""
        self._say("playable", file.path, video.id, hls=video.hls, dash=video.dash)

    def ready(self, file: SourceFile, video: Video) -> None:
        """See Report."""
        self._say("ready", file.path, video.id, hls=video.hls, dash=video.dash)

    def failed(self, path: Path, reason: str, video_id: str | None) -> None:
        """See Report."""
        self._say("failed", path, video_id, reason=reason)

    def close(self) -> None:
        """Do nothing: a line is finished when it is written."""

    def _say(self, event: str, path: Path, video_id: str | None, **more: object) -> None:
        # Lone surrogates in JSON are unpredictable (RFC 8259, section 8.2).
        name = readable(str(path))
        self._write({"event": event, "file": name, "video_id": video_id, **more})

    def _write(self, members: dict[str, object]) -> None:
        self._out.write(json.dumps(members) + "\n")
        self._out.flush()
