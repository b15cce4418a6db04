"""Says whom a request comes from: the only thing that the rest of the catalog knows of accounts."""

from typing import Annotated

from fastapi import Depends, Header, Request

from reelay.common.tokens import Identity, TokenVerifier

PUBLISH = "publish"


async def caller(
    request: Request, authorization: Annotated[str | None, Header()] = None
) -> Identity:
    """Return the identity in the bearer token; raises UnauthorizedError."""
    verifier: TokenVerifier = request.app.state.verifier
    return await verifier.verify_header(authorization)


Caller = Annotated[Identity, Depends(caller)]


async def viewer(
    request: Request, authorization: Annotated[str | None, Header()] = None
) -> Identity | None:
    """Return the identity in the bearer token, None without one; raises UnauthorizedError."""
    return None if authorization is None else await caller(request, authorization)


Viewer = Annotated[Identity | None, Depends(viewer)]


async def publisher(identity: Caller) -> Identity:
    """Return a caller who may publish; raises UnauthorizedError, ForbiddenError."""
    identity.require(PUBLISH)
    return identity


Publisher = Annotated[Identity, Depends(publisher)]
