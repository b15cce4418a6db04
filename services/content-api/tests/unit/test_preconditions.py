"""Entity tags are compared as RFC 9110 asks."""

import pytest

from reelay.content_api.domain.preconditions import (
    matches_strongly,
    matches_weakly,
    range_applies,
)

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("lines", "weakly", "strongly"),
    [
        (['"abc"'], True, True),
        (['W/"abc"'], True, False),
        (["*"], True, True),
        ([" * "], True, True),
        (['"x", W/"y" ,"abc"'], True, True),
        (['"x,"abc'], False, False),
        (['"x"', '"abc"'], True, True),
        (['"abcd"'], False, False),
        (["abc"], False, False),
        (['"*"'], False, False),
        ([""], False, False),
    ],
)
def test_tags_match(lines: list[str], weakly: bool, strongly: bool) -> None:
    assert matches_weakly(lines, ETAG) is weakly
    assert matches_strongly(lines, ETAG) is strongly


@pytest.mark.parametrize(
    ("field", "applies"),
    [
        (None, True),
        ('"abc"', True),
        ('W/"abc"', False),
        ('"x"', False),
        ("*", False),
        ("Sat, 29 Oct 1994 19:43:31 GMT", False),
    ],
)
def test_range_is_used_only_with_the_same_strong_tag(field: str | None, applies: bool) -> None:
    assert range_applies(field, ETAG) is applies
