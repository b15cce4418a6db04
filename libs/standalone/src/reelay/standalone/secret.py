"""The password that the parts of one instance share, and files that only their owner may read."""

import os
import secrets
from pathlib import Path


def instance_secret(path: Path) -> str:
    """Return the secret kept at `path`, making it on first use (mode 0600)."""
    if not path.exists():
        write_private(path, secrets.token_hex(24))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> Path:
    """Write a file that only we may read, in one step."""
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)
    return path
