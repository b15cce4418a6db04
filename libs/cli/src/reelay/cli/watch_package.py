"""What a package promises, and whether all of it is there: read over HTTP for `reelay watch`."""

from itertools import accumulate
from typing import Any

from pydantic import BaseModel, ValidationError

from reelay.cli.api import Api
from reelay.cli.errors import CommandError, ServerRefusedError
from reelay.cli.tus import GONE
from reelay.cli.watch_map import Package, Rendition
from reelay.common.events import TranscodeCompleted

PLAN = "plan.json"
INDEX = "index.json"
"""Written before a package is announced as complete, and deleted before it is repaired."""


class PlanUnreadableError(CommandError):
    """The plan of this package cannot be read."""


class _PlannedRendition(BaseModel):
    id: str
    kind: str
    path: str


class _Plan(BaseModel):
    """plan.json, as far as it matters here."""

    renditions: list[_PlannedRendition]


class _Index(BaseModel):
    """index.json, as far as it matters here."""

    root_digest: str
    objects: dict[str, dict[str, Any]]

    @property
    def size_bytes(self) -> int:
        return sum(int(entry.get("size", 0)) for entry in self.objects.values())


async def read_package(api: Api, package_id: str) -> Package:
    """Read the plan and the media playlists; raises CommandError when they cannot be had."""
    try:
        plan = _Plan.model_validate_json(await api.content(package_id, PLAN))
        playlists = [await api.content(package_id, f"{r.path}/index.m3u8") for r in plan.renditions]
        return Package(
            package_id,
            tuple(
                Rendition(r.id, r.kind, r.path, segment_ends_s(playlist.decode()))
                for r, playlist in zip(plan.renditions, playlists, strict=True)
            ),
        )
    except ValueError as error:
        raise PlanUnreadableError(f"The plan of {package_id} cannot be read.") from error


async def read_completion(api: Api, package_id: str) -> TranscodeCompleted | None:
    """Return the fact that a package is complete, as its index tells; None when there is none.

    Raises CommandError when that cannot be told.
    """
    try:
        index = _Index.model_validate_json(await api.content(package_id, INDEX))
    except ServerRefusedError as error:
        if error.status in GONE:
            return None
        raise
    except ValidationError as error:
        raise PlanUnreadableError(f"The index of {package_id} cannot be read.") from error
    return TranscodeCompleted(
        package_id=package_id, root_digest=index.root_digest, size_bytes=index.size_bytes
    )


def segment_ends_s(playlist: str) -> tuple[float, ...]:
    """Return when each segment of a media playlist ends (RFC 8216, section 4.3.2.1: EXTINF)."""
    lengths = [
        float(line.removeprefix("#EXTINF:").partition(",")[0])
        for line in playlist.splitlines()
        if line.startswith("#EXTINF:")
    ]
    return tuple(round(end, 6) for end in accumulate(lengths))
