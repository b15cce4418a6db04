"""Who may fetch the content of a package: tokens in its paths, and the state that goes around.

A package is shared by all videos that were made of the same bytes. Most are open: whoever knows
their paths may fetch them. The others are restricted, which the catalog alone decides. It tells
so in two places: in the stream ACCESS, which keeps the last state of each package, for those who
serve content now; and by marks in the object store, for those who cannot ask the broker.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from reelay.common.message import Message
from reelay.common.tokens import TokenSigner, TokenVerifier

AUDIENCE = "content"
"""What these tokens are for; no other service takes them, and no other tokens are taken here."""
TOKEN_MARK = "~"  # noqa: S105 (what a token begins with in a path)


class Access(StrEnum):
    """Who may fetch a package."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 (the word itself)
    CLOSED = "closed"


class ContentAccessChanged(Message):
    """Who may fetch the content of a package changed; the last one of each package is kept."""

    subject = "access.package.*"

    package_id: str
    access: Access = Field(description="open to all, to those with a token, or to nobody")
    video_ids: list[UUID] = Field(
        default_factory=list, description="with a token: the videos whose tokens are good"
    )
    revision: int = Field(description="grows with every change; of two messages the higher is true")

    def to_subject(self) -> str:
        return subject_of(self.package_id)


class AllAccessTold(Message):
    """The stream has the state of every package that is not open to all.

    One that was lost and made anew is empty at first, which must not be taken for "all are open".
    """

    subject = "access.all-told"

    stream_made_at: datetime = Field(description="when the stream was made that has all of them")


def subject_of(package_id: str) -> str:
    """Return the subject that has the state of a package."""
    return f"access.package.{package_id}"


def mark_key(package_id: str, access: Access) -> str:
    """Return the key of the object that marks a package as restricted in this way."""
    return f"access/{package_id}.{access}"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token in a path allows."""

    package_id: str
    video_id: str
    """The video for whose sake the package may be fetched."""
    expires_at_s: float
    """POSIX time."""


def sign_grant(signer: TokenSigner, grant: Grant) -> str:
    """Return the token that proves a grant: a JWT (RFC 7519) of URL-safe characters.

    The same grant always gives the same token (RFC 8032: Ed25519 is deterministic).
    """
    claims = {
        "aud": AUDIENCE,
        "sub": grant.package_id,
        "vid": grant.video_id,
        "exp": int(grant.expires_at_s),
    }
    return signer.encode(claims)


async def read_grant(verifier: TokenVerifier, token: str) -> Grant:
    """Return what a token allows or, when its time is over, allowed.

    Raises InvalidTokenError for one that the catalog did not make for this purpose.
    """
    claims = await verifier.decode(
        token, audience=AUDIENCE, require=["sub", "vid", "exp"], verify_exp=False
    )
    return Grant(str(claims["sub"]), str(claims["vid"]), float(claims["exp"]))
