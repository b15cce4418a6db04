"""Tokens in paths: a signature is verified once, not for each segment."""

from collections import OrderedDict

from reelay.common.content_access import Grant, read_grant
from reelay.common.storage import ObjectStore
from reelay.common.tokens import InvalidTokenError, TokenVerifier

MAX_VERIFIED = 8192
MAX_CHARS = 2048
"""Longer than any token of the catalog."""


class VerifiedTokens:
    """Verifies with the keys in the store; see Tokens. Those used longest ago are forgotten."""

    def __init__(self, store: ObjectStore, *, limit: int = MAX_VERIFIED) -> None:
        self._verifier = TokenVerifier(store)
        self._limit = limit
        self._verified: OrderedDict[str, Grant] = OrderedDict()

    async def grant(self, token: str) -> Grant | None:
        """See Tokens."""
        grant = self._verified.get(token)
        if grant is not None:
            self._verified.move_to_end(token)
            return grant
        if len(token) > MAX_CHARS:
            return None
        try:
            grant = await read_grant(self._verifier, token)
        except InvalidTokenError:
            return None
        self._verified[token] = grant
        while len(self._verified) > self._limit:
            self._verified.popitem(last=False)
        return grant
