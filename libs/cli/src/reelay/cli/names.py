"""Names of files as text that can be sent and printed."""

import re

NOT_TEXT = re.compile("[\ud800-\udfff]")
"""How Python keeps bytes of a name that are not UTF-8 (PEP 383): no encoder takes them."""


def readable(text: str) -> str:
    """Return the text with U+FFFD in the place of each byte that is not UTF-8."""
    return NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)
