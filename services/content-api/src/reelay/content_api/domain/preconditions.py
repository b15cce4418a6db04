"""Conditional requests by entity tag (RFC 9110, section 13); there are no modification dates."""

import re
from collections.abc import Sequence

ENTITY_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def matches_weakly(field_lines: Sequence[str], etag: str) -> bool:
    """Tell whether If-None-Match names `etag` by weak comparison (13.1.2); `*` names any."""
    return _matches(field_lines, etag, weak=True)


def matches_strongly(field_lines: Sequence[str], etag: str) -> bool:
    """Tell whether If-Match names `etag` by strong comparison (13.1.1); `*` names any."""
    return _matches(field_lines, etag, weak=False)


def range_applies(if_range: str | None, etag: str) -> bool:
    """Tell whether If-Range lets a Range be used: only the same strong tag does (13.1.5).

    A date never does, for there is no modification date that could equal it.
    """
    return if_range is None or if_range.strip() == etag


def _matches(field_lines: Sequence[str], etag: str, *, weak: bool) -> bool:
    for line in field_lines:
        if line.strip() == "*":
            return True
        for prefix, tag in ENTITY_TAG.findall(line):
            if tag == etag and (weak or not prefix):
                return True
    return False
