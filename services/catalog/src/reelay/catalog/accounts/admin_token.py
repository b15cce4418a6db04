"""The first administrator's token, written to a file that only its owner may read."""

import asyncio
import os
from pathlib import Path
from uuid import uuid4

import jwt
import structlog

from reelay.common.tokens import InvalidTokenError, TokenSigner, TokenVerifier

SUBJECT = "admin"
SCOPE = "admin"
MODE = 0o600

log = structlog.get_logger()


async def ensure_admin_token(path: Path, signer: TokenSigner, verifier: TokenVerifier) -> None:
    """Leave a token in `path` that the present key signed; a good one is kept as it is."""
    if await _is_good(await asyncio.to_thread(_read, path), signer, verifier):
        return
    await asyncio.to_thread(_replace, path, signer.sign(SUBJECT, {SCOPE}))
    log.info("wrote the administrator's token", path=str(path))


async def _is_good(token: str, signer: TokenSigner, verifier: TokenVerifier) -> bool:
    try:
        identity = await verifier.verify(token)
    except InvalidTokenError:
        return False
    # The store may still have the key of an earlier database, which nobody can sign with now.
    return jwt.get_unverified_header(token)["kid"] == signer.kid and SCOPE in identity.scopes


def _read(path: Path) -> str:
    """Return the token in `path`, which is made private; an empty one when there is none."""
    try:
        path.chmod(MODE)
        return path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _replace(path: Path, token: str) -> None:
    """Write the file all or nothing, never readable by others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), MODE)
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
