"""Who may fetch a package that several videos refer to."""

from itertools import permutations
from uuid import UUID

import pytest

from reelay.catalog.restrictions.deriving import MAX_VIDEOS, derive
from reelay.common.content_access import Access

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize("shown", ["public", "unlisted"])
def test_package_is_open_while_any_video_is_shown_to_others(shown: str) -> None:
    for users in permutations([(ONE, "private"), (TWO, shown), (UUID(int=3), "private")]):
        assert derive(users) == (Access.OPEN, [])


def test_package_of_private_videos_needs_a_token_of_one_of_them() -> None:
    for users in permutations([(ONE, "private"), (TWO, "private")]):
        assert derive(users) == (Access.TOKEN, [str(ONE), str(TWO)])


def test_package_of_no_video_is_closed() -> None:
    assert derive([]) == (Access.CLOSED, [])


def test_of_very_many_private_videos_the_newest_count() -> None:
    users = [(UUID(int=n), "private") for n in range(MAX_VIDEOS + 10)]
    access, video_ids = derive(users)
    assert access is Access.TOKEN
    assert (len(video_ids), video_ids[-1]) == (MAX_VIDEOS, str(users[-1][0]))
