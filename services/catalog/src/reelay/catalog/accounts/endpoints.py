"""The HTTP side of accounts."""

from fastapi import APIRouter
from pydantic import BaseModel

from reelay.catalog.accounts.access import Caller

router = APIRouter(prefix="/api/v1/accounts")


class Account(BaseModel):
    """Whose token it is and what it allows."""

    subject: str
    scopes: list[str]


@router.get("/me")
async def me(identity: Caller) -> Account:
    """Check a token."""
    return Account(subject=identity.subject, scopes=sorted(identity.scopes))
