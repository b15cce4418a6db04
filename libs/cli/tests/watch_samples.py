"""A package of 14 s and messages about it, for tests of `reelay watch`."""

from uuid import UUID

from reelay.cli.watch_map import Package, PackageMap, Rendition, runs
from reelay.cli.watch_state import WatchState
from reelay.common.commands import (
    DemandWithdrawn,
    EncodeChunk,
    Lane,
    SegmentDemanded,
    SegmentSpec,
    SourceSpec,
    VideoOutput,
    ViewerSeen,
    ViewersSeen,
)
from reelay.common.events import (
    ManifestUpdated,
    PackagePlanned,
    PackageRemoved,
    SegmentRange,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.message import Message

Heard = tuple[Message, float]
ID = "5a" * 32
VIDEO = UUID(int=7)
ENDS_S = (1.0, 2.0, 4.0, 8.0, 12.0, 14.0)
HEIGHTS = {"360p": 360, "720p": 720}

PACKAGE = Package(
    ID,
    (
        Rendition("360p", "video", "video/360p", ENDS_S),
        Rendition("720p", "video", "video/720p", ENDS_S),
        Rendition("audio", "audio", "audio/main", (1.003, 2.005, 4.011, 8.0, 12.011, 14.016)),
    ),
)
COMPLETED = TranscodeCompleted(package_id=ID, root_digest="d", size_bytes=1_500_000)
REMOVED = PackageRemoved(package_id=ID)


def planned(package_id: str = ID) -> PackagePlanned:
    return PackagePlanned(
        package_id=package_id, asset_id="a", video_id=VIDEO, renditions=list(PACKAGE.names),
        duration_s=14.0, segments_total=18,
    )  # fmt: skip


def stored(*ranges: tuple[str, int, int], package_id: str = ID) -> ManifestUpdated:
    return ManifestUpdated(
        package_id=package_id,
        available=[SegmentRange(rendition=r, first=f, last=e) for r, f, e in ranges],
        segments_stored=0,
        segments_total=18,
        playable=False,
    )


def everything() -> ManifestUpdated:
    return stored(*((rendition.name, 1, len(ENDS_S)) for rendition in PACKAGE.renditions))


def chunk(
    renditions: str, first: int, last: int, lane: Lane = Lane.LADDER, *, task: int = 1,
    attempt: int = 1, package_id: str = ID,
) -> EncodeChunk:  # fmt: skip
    names = renditions.split()
    segments = [SegmentSpec(number=n, first_frame=0, frames=1) for n in range(first, last + 1)]
    return EncodeChunk(
        task_id=UUID(int=task), package_id=package_id, attempt=attempt, lane=lane,
        provider="software", source=SourceSpec(key="sources/x", demuxer="mov", video_stream=0,
                                               audio_stream=1, preroll_s=0.5),
        fps_num=25, fps_den=1,
        video=[VideoOutput(rendition=name, width=640, height=HEIGHTS[name], maxrate_bps=1,
                           level="3.0") for name in names if name != "audio"],
        segments=segments if names != ["audio"] else [],
        audio_rendition="audio" if "audio" in names else None,
        audio_segments=segments if "audio" in names else [],
    )  # fmt: skip


def demand(path: str, viewer: str = "", teller: str = "") -> SegmentDemanded:
    return SegmentDemanded(package_id=ID, path=path, viewer=viewer, teller=teller)


def withdrawn(path: str, viewer: str = "", teller: str = "") -> DemandWithdrawn:
    return DemandWithdrawn(package_id=ID, path=path, viewer=viewer, teller=teller)


def seen(*viewers: tuple[str, str, float], package_id: str = ID) -> ViewersSeen:
    """Viewers, what each was sent last, and how long ago that was."""
    told = [ViewerSeen(viewer=name, path=path, ago_s=ago_s) for name, path, ago_s in viewers]
    return ViewersSeen(package_id=package_id, viewers=told)


def failed(reason: str = "The disk is full.") -> TranscodeFailed:
    return TranscodeFailed(package_id=ID, asset_id="a", reason=reason)


def hear(*heard: Heard, now: float = 0.0) -> PackageMap:
    state = WatchState(PACKAGE, "Film")
    for message, at in heard:
        state.hear(message, at)
    state.see_work((), now)
    return state.map(now)


def encoding(known: PackageMap, rendition: str) -> dict[str, list[tuple[int, int]]]:
    row = next(row for row in known.rows if row.rendition.name == rendition)
    return {lane.value: list(runs(bits)) for lane, bits in row.encoding.items()}


def stored_runs(known: PackageMap) -> dict[str, list[tuple[int, int]]]:
    return {row.rendition.name: list(runs(row.stored)) for row in known.rows}
