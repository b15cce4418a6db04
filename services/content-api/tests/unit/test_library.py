"""What is asked of the store before anybody waits for it."""

from typing import Any, cast

import pytest

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.promises import PlannedRendition, Promises
from reelay.content_api.handlers.library import Library
from reelay.content_api.handlers.waiting import WaitingLimits

PROMISES = Promises([PlannedRendition("360p", "video/360p", 17)])


class Known:
    """Plans of which one is known, and files that note what is anticipated."""

    def __init__(self) -> None:
        self.anticipated: list[str] = []

    def known(self, package_id: str) -> Promises | None:
        return PROMISES if package_id == "a" * 64 else None

    def peek(self, key: str) -> None:
        """Nothing is at hand."""

    def anticipate(self, key: str) -> None:
        self.anticipated.append(key)


@pytest.mark.parametrize(
    ("package", "path", "asked"),
    [
        ("a", "video/360p/17.m4s", True),
        ("a", "master.m3u8", True),
        ("a", "video/360p/18.m4s", False),
        ("a", "failed.json", False),
        ("a", "downloads/360p.mp4", False),
        ("b", "video/360p/1.m4s", False),
    ],
    ids=["segment", "manifest", "never-promised", "mark", "download", "unknown-plan"],
)
def test_only_what_a_known_plan_promises_is_anticipated(
    package: str, path: str, asked: bool
) -> None:
    known = cast(Any, Known())
    limits = WaitingLimits(wait_s=1, repeat_s=1)
    library = Library(known, known, cast(Any, None), cast(Any, None), limits)
    name = ContentName(package * 64, path)
    assert library.at_hand(name, soon=True) is None
    assert known.anticipated == ([name.key] if asked else [])
