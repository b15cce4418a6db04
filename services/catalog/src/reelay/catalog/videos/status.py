"""Derives what a video is from the facts about it, whatever their order and number.

Facts only ever add to what is known: each `on_…` is idempotent, and any order of the same facts
gives the same result. Where a later fact must win, one clock decides, whatever those of the senders
say (decision 20): what the packager decided is ordered by `decided_at`, what happened to uploads by
the time at which the broker stored the fact.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self, TypedDict
from uuid import UUID

LONG_AGO = datetime.min.replace(tzinfo=UTC)


class State(StrEnum):
    """How far a video is (DESIGN, the public contract)."""

    DRAFT = "draft"
    UPLOADING = "uploading"
    PLANNED = "planned"
    PLAYABLE = "playable"
    READY = "ready"
    FAILED = "failed"


class Extent(TypedDict):
    """How many segments of one rendition are stored, and how many it will have."""

    stored: int
    total: int


@dataclass(frozen=True)
class Upload:
    """One attempt to send the file of a video."""

    upload_id: UUID
    started_at: datetime | None = None
    terminated: bool = False
    refused_at: datetime | None = None
    refusal: str | None = None
    asset_id: str | None = None
    source_key: str | None = None
    uploaded_at: datetime | None = None

    def on_started(self, at: datetime) -> Self:
        """The client began to send."""
        return replace(self, started_at=min(self.started_at or at, at))

    def on_terminated(self, refusal: str | None, at: datetime) -> Self:
        """The client withdrew the upload, or it was refused, once: the first refusal is kept.

        A repetition may be stored by the broker long after.
        """
        ended = replace(self, terminated=True)
        if refusal is None or (self.refused_at or at, self.refusal or refusal) < (at, refusal):
            return ended
        return replace(ended, refused_at=at, refusal=refusal)

    def on_uploaded(self, asset_id: str, source_key: str, at: datetime) -> Self:
        """All bytes are stored; known once, so that a repetition changes nothing."""
        if self.uploaded_at is not None:
            return self
        return replace(self, asset_id=asset_id, source_key=source_key, uploaded_at=at)

    @property
    def active_at(self) -> datetime | None:
        """When this upload last promised something; None when it was withdrawn or refused."""
        if self.uploaded_at is not None:
            return self.uploaded_at
        return None if self.terminated else self.started_at


@dataclass(frozen=True)
class Outcome:
    """When something was planned and when it failed; the later of the two holds."""

    planned_at: datetime | None = None
    failed_at: datetime | None = None
    reason: str | None = None
    told_at: datetime | None = None
    """When the broker stored the failure; absent in rows of before."""

    def on_failed(self, reason: str, at: datetime, told_at: datetime) -> Self:
        """It failed; the latest reason is kept."""
        if (at, reason) <= (self.failed_at or LONG_AGO, self.reason or ""):
            return self
        return replace(self, failed_at=at, reason=reason, told_at=told_at)

    @property
    def failed(self) -> bool:
        """Whether the last that is known is a failure."""
        return self.failed_at is not None and self.failed_at >= (self.planned_at or LONG_AGO)

    def failed_after(self, uploads: Iterable[Upload]) -> datetime:
        """Return when it failed, to be compared with what happened to uploads.

        `uploads` are those of the asset that it was made of. Never before the first of them was
        here, which the failure answers, even if the broker's clock was set back in between.
        """
        known = self.told_at or self.failed_at
        if known is None:
            return LONG_AGO
        return max(known, min((u.uploaded_at for u in uploads if u.uploaded_at), default=known))


@dataclass(frozen=True)
class Plan(Outcome):
    """What became of a video's request for the package of one asset."""

    asset_id: str = field(kw_only=True)
    package_id: str | None = None

    def on_planned(self, package_id: str, at: datetime) -> Self:
        """A package was planned; the latest one is kept."""
        if (at, package_id) <= (self.planned_at or LONG_AGO, self.package_id or ""):
            return self
        return replace(self, package_id=package_id, planned_at=at)


@dataclass(frozen=True)
class Package(Outcome):
    """How far a package is, for all videos that refer to it."""

    package_id: str = field(kw_only=True)
    segments_stored: int = 0
    segments_total: int = 0
    renditions: dict[str, Extent] = field(default_factory=dict)
    playable: bool = False
    root_digest: str | None = None
    warnings: list[str] = field(default_factory=list)

    def on_planned(self, segments_total: int, at: datetime) -> Self:
        """Its manifests exist; it is tried (again)."""
        return replace(
            self,
            planned_at=max(self.planned_at or at, at),
            segments_total=max(self.segments_total, segments_total),
        )

    def on_updated(
        self,
        segments_stored: int,
        segments_total: int,
        renditions: Mapping[str, Extent],
        *,
        playable: bool,
    ) -> Self:
        """Segments became available; counts never go back."""
        return replace(
            self,
            segments_stored=max(self.segments_stored, segments_stored),
            segments_total=max(self.segments_total, segments_total),
            renditions=_furthest(self.renditions, renditions),
            playable=self.playable or playable,
        )

    def on_completed(self, root_digest: str, warnings: list[str]) -> Self:
        """All is stored; nothing can fail any more."""
        if (root_digest, warnings) <= (self.root_digest or "", self.warnings):
            return self
        return replace(self, root_digest=root_digest, warnings=warnings)

    @property
    def state(self) -> State:
        """The state of a video that has this package."""
        if self.root_digest is not None:
            return State.READY
        if self.failed:
            return State.FAILED
        return State.PLAYABLE if self.playable else State.PLANNED


@dataclass(frozen=True)
class Status:
    """What is shown of a video's progress."""

    state: State = State.DRAFT
    reason: str | None = None
    asset_id: str | None = None
    package_id: str | None = None
    segments_stored: int = 0
    segments_total: int = 0
    renditions: dict[str, Extent] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def derive(
    uploads: Iterable[Upload], plans: Iterable[Plan], packages: Mapping[str, Package]
) -> Status:
    """Return the status of the video that these uploads and plans belong to.

    The plan of the asset uploaded last counts; until it exists the one before it stays, so that a
    second upload, or the refusal of its file, takes nothing away from viewers.
    """
    uploads = list(uploads)
    asset_id = _latest_asset(uploads)
    plan = max(plans, key=lambda p: _rank(p, uploads), default=None)
    if plan is None:
        return _unwatchable(Status(asset_id=asset_id), LONG_AGO, "", uploads)
    package = packages.get(plan.package_id or "") or Package(package_id=plan.package_id or "")
    whole = package.state is State.READY
    status = Status(
        State.FAILED if plan.failed else package.state,
        asset_id=asset_id or plan.asset_id,
        package_id=plan.package_id,
        segments_stored=package.segments_total if whole else package.segments_stored,
        segments_total=package.segments_total,
        renditions=_all_stored(package.renditions) if whole else package.renditions,
        warnings=package.warnings,
    )
    if status.state is not State.FAILED:
        return status
    last = plan if plan.failed else package
    failed_at = last.failed_after(u for u in uploads if u.asset_id == plan.asset_id)
    return _unwatchable(status, failed_at, last.reason or "", uploads)


def _unwatchable(status: Status, failed_at: datetime, reason: str, uploads: list[Upload]) -> Status:
    """Return what a video without a package to watch is: what happened last counts.

    A refusal does not count while the package of another file is on its way.
    """
    if all(u.uploaded_at is None or u.uploaded_at <= failed_at for u in uploads):
        refusals = [(u.refused_at, u.refusal or "") for u in uploads if u.refused_at]
        failed_at, reason = max([(failed_at, reason), *refusals])
    if any(u.active_at is not None and u.active_at > failed_at for u in uploads):
        return Status(State.UPLOADING, asset_id=_latest_asset(uploads))
    if failed_at == LONG_AGO:
        return status
    return replace(status, state=State.FAILED, reason=reason)


def _latest_asset(uploads: list[Upload]) -> str | None:
    whole = [(u.uploaded_at, u.upload_id, u.asset_id) for u in uploads if u.uploaded_at]
    return max(whole)[2] if whole else None


def _furthest(known: Mapping[str, Extent], told: Mapping[str, Extent]) -> dict[str, Extent]:
    merged = dict(known)
    for name, extent in told.items():
        before = merged.get(name, extent)
        merged[name] = Extent(
            stored=max(before["stored"], extent["stored"]),
            total=max(before["total"], extent["total"]),
        )
    return merged


def _all_stored(renditions: Mapping[str, Extent]) -> dict[str, Extent]:
    return {name: Extent(stored=r["total"], total=r["total"]) for name, r in renditions.items()}


def _rank(plan: Plan, uploads: list[Upload]) -> tuple[datetime, datetime, str]:
    uploaded = [u.uploaded_at for u in uploads if u.asset_id == plan.asset_id and u.uploaded_at]
    known = max(plan.planned_at or LONG_AGO, plan.failed_at or LONG_AGO)
    return max(uploaded, default=LONG_AGO), known, plan.asset_id
