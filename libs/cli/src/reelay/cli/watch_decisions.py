"""Which of two facts about a package came later: the packager's database tells (decision 20).

The broker's times do not: a packager that dies between a commit and its announcement leaves that to
another, which may have planned the package anew before.
"""

from datetime import datetime

from reelay.common.events import PackagePlanned, PackageRemoved, TranscodeFailed

Decision = PackagePlanned | TranscodeFailed | PackageRemoved


def latest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two times, either of which may be unknown."""
    return max((at for at in (one, other) if at is not None), default=None)


def is_outdated(fact: Decision, planned_at: datetime | None) -> bool:
    """Tell whether a fact is older than a plan; one of an earlier version does not say."""
    if fact.decided_at is None or planned_at is None:
        return False
    return fact.decided_at < planned_at


def decided_at_s(fact: Decision) -> float:
    """Return when a fact was decided, in seconds since the epoch; it must say so."""
    assert fact.decided_at is not None
    return fact.decided_at.timestamp()
