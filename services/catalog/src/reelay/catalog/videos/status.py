"""Derives what a video is from the facts about it, whatever their order and number.

Facts only ever add to what is known: each `on_…` is idempotent, and any order of the same facts
gives the same result. Where a later fact must win, the time at which it happened decides
(CloudEvents `time`, which a repeated message keeps), never the time of its arrival.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self
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


@dataclass(frozen=True)
class Upload:
    """One attempt to send the file of a video."""

    upload_id: UUID
    started_at: datetime | None = None
    terminated: bool = False
    asset_id: str | None = None
    source_key: str | None = None
    uploaded_at: datetime | None = None

    def on_started(self, at: datetime) -> Self:
        """The client began to send."""
        return replace(self, started_at=min(self.started_at or at, at))

    def on_terminated(self) -> Self:
        """The client withdrew the upload."""
        return replace(self, terminated=True)

    def on_uploaded(self, asset_id: str, source_key: str, at: datetime) -> Self:
        """All bytes are stored; known once, so that a repetition changes nothing."""
        if self.uploaded_at is not None:
            return self
        return replace(self, asset_id=asset_id, source_key=source_key, uploaded_at=at)

    @property
    def active_at(self) -> datetime | None:
        """When this upload last promised something; None when it was withdrawn."""
        if self.uploaded_at is not None:
            return self.uploaded_at
        return None if self.terminated else self.started_at


@dataclass(frozen=True)
class Outcome:
    """When something was planned and when it failed; the later of the two holds."""

    planned_at: datetime | None = None
    failed_at: datetime | None = None
    reason: str | None = None

    def on_failed(self, reason: str, at: datetime) -> Self:
        """It failed; the latest reason is kept."""
        if (at, reason) <= (self.failed_at or LONG_AGO, self.reason or ""):
            return self
        return replace(self, failed_at=at, reason=reason)

    @property
    def failed(self) -> bool:
        """Whether the last that is known is a failure."""
        return self.failed_at is not None and self.failed_at >= (self.planned_at or LONG_AGO)


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

    def on_updated(self, segments_stored: int, segments_total: int, *, playable: bool) -> Self:
        """Segments became available; counts never go back."""
        return replace(
            self,
            segments_stored=max(self.segments_stored, segments_stored),
            segments_total=max(self.segments_total, segments_total),
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
    warnings: list[str] = field(default_factory=list)


def derive(
    uploads: Iterable[Upload], plans: Iterable[Plan], packages: Mapping[str, Package]
) -> Status:
    """Return the status of the video that these uploads and plans belong to.

    The plan of the asset uploaded last counts; until it exists the one before it stays, so that a
    second upload takes nothing away from viewers. A newer upload hides an older failure.
    """
    uploads = list(uploads)
    whole = [(u.uploaded_at, u.upload_id, u.asset_id) for u in uploads if u.uploaded_at]
    asset_id = max(whole)[2] if whole else None
    active_at = max((u.active_at for u in uploads if u.active_at), default=None)
    plan = max(plans, key=lambda p: _rank(p, uploads), default=None)
    if plan is None:
        return Status(State.UPLOADING if active_at else State.DRAFT, asset_id=asset_id)
    package = packages.get(plan.package_id or "") or Package(package_id=plan.package_id or "")
    failed = plan if plan.failed else package
    state = State.FAILED if plan.failed else package.state
    if state is State.FAILED and active_at and active_at > (failed.failed_at or LONG_AGO):
        return Status(State.UPLOADING, asset_id=asset_id)
    return Status(
        state,
        reason=failed.reason if state is State.FAILED else None,
        asset_id=asset_id or plan.asset_id,
        package_id=plan.package_id,
        segments_stored=package.segments_total if state is State.READY else package.segments_stored,
        segments_total=package.segments_total,
        warnings=package.warnings,
    )


def _rank(plan: Plan, uploads: list[Upload]) -> tuple[datetime, datetime, str]:
    uploaded = [u.uploaded_at for u in uploads if u.asset_id == plan.asset_id and u.uploaded_at]
    known = max(plan.planned_at or LONG_AGO, plan.failed_at or LONG_AGO)
    return max(uploaded, default=LONG_AGO), known, plan.asset_id
