"""What `reelay publish` shows on a terminal: a bar for the upload, and one for each rendition."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from reelay.cli import quantities
from reelay.cli.api import Video
from reelay.cli.source import SourceFile

WHOLE = 1000
"""Steps of the bar of a video of which only the share of all its segments is known."""


class BarReport:
    """Bars that move at the bottom, and lines that stay above them."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._progress.start()
        self._upload: TaskID | None = None
        self._encode: dict[str, TaskID] = {}

    def uploading(self, file: SourceFile, video_id: str, offset: int) -> None:
        """See Report."""
        self._clear()
        if offset:
            self._say(f"{file.name}: going on at {quantities.size(offset)}")
        self._upload = self._progress.add_task(
            f"{file.name}: upload", total=file.size_bytes, completed=offset, detail=""
        )

    def sent(self, offset: int) -> None:
        """See Report."""
        if self._upload is None:
            return
        speed = self._progress.tasks[self._progress.task_ids.index(self._upload)].speed
        detail = f"{quantities.size(speed)}/s" if speed else ""
        self._progress.update(self._upload, completed=offset, detail=detail)

    def interrupted(self, reason: str, delay_s: float) -> None:
        """See Report."""
        if self._upload is not None:
            detail = f"connection lost; again in {quantities.duration(delay_s)}"
            self._progress.update(self._upload, detail=detail)

    def uploaded(self, file: SourceFile, video_id: str, sent_bytes: int, took_s: float) -> None:
        """See Report."""
        self._clear()
        self._say(
            f"{file.name}: uploaded in {quantities.duration(took_s)} "
            f"({quantities.rate(sent_bytes, took_s)})"
        )

    def encoding(self, video: Video) -> None:
        """See Report."""
        counts = video.renditions or {"encode": (int(video.progress * WHOLE), WHOLE)}
        for name in self._encode.keys() - counts.keys():
            self._progress.remove_task(self._encode.pop(name))
        for name, (stored, total) in counts.items():
            if name not in self._encode:
                self._encode[name] = self._progress.add_task(name, total=total, detail="")
            detail = f"{stored}/{total} segments" if video.renditions else video.state
            self._progress.update(self._encode[name], completed=stored, total=total, detail=detail)

    def playable(self, file: SourceFile, video: Video) -> None:
        """See Report."""
        self._say(f"{file.name}: watch it at {video.hls}")
        self._say(f"{file.name}: or with DASH at {video.dash}")

    def ready(self, file: SourceFile, video: Video) -> None:
        """See Report."""
        self._clear()
        self._say(f"{file.name}: ready")

    def failed(self, path: Path, reason: str, video_id: str | None) -> None:
        """See Report."""
        self._clear()

    def close(self) -> None:
        """See Report."""
        self._clear()
        self._progress.stop()

    def _clear(self) -> None:
        for task in list(self._progress.task_ids):
            self._progress.remove_task(task)
        self._upload, self._encode = None, {}

    def _say(self, line: str) -> None:
        # Never wrapped or marked up: an address must stay in one piece to be copied.
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
