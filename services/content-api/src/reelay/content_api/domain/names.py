"""Names of objects in packages: which request targets mean one, its content type and its tag."""

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache

from reelay.common.content_access import TOKEN_MARK
from reelay.common.storage import InvalidKeyError
from reelay.common.storage.port import MAX_KEY_CHARS, check_key

CONTENT_PREFIX = "/api/v1/content/"
MAX_TARGET_CHARS = len(CONTENT_PREFIX) + MAX_KEY_CHARS
TOKEN_AT = len(CONTENT_PREFIX) + 64
"""Where a package id ends in a path."""
PACKAGE_ID = re.compile(r"[0-9a-f]{64}")

PLAN = "plan.json"
INDEX = "index.json"
FAILED = "failed.json"
DOWNLOADS = "downloads/"
"""Below this lies what no store has: files put together from the segments of a whole package."""

SOUND = ("audio/", f"{DOWNLOADS}audio")
"""How paths of files with sound alone begin."""
CONTENT_TYPES = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "m4s": "video/iso.segment",
    "mp4": "video/mp4",
    "json": "application/json",
}


@dataclass(frozen=True, slots=True)
class ContentName:
    """One object of a package."""

    package_id: str
    path: str
    """Relative to the package, for example video/360p/7.m4s."""

    key: str = field(init=False, compare=False)
    """The object's key in the store."""

    def __hash__(self) -> int:
        return hash(self.key)  # a string remembers its own

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"packages/{self.package_id}/{self.path}")

    @property
    def etag(self) -> str:
        """A strong entity tag (RFC 9110, section 8.8.3): bytes under a path never change."""
        digest = hashlib.sha256(f"{self.package_id}/{self.path}".encode()).hexdigest()
        return f'"{digest[:32]}"'

    @property
    def content_type(self) -> str:
        """The media type, by the ending of the name."""
        if self.path.startswith(SOUND) and self.path.endswith(".mp4"):
            return "audio/mp4"
        return CONTENT_TYPES.get(self.path.rpartition(".")[2], "application/octet-stream")

    @property
    def saved_as(self) -> str | None:
        """The name under which a client saves the file; None for what is not made to be saved."""
        if not self.path.startswith(DOWNLOADS) or not self.path.endswith(".mp4"):
            return None
        return f"{self.package_id[:12]}-{self.path.removeprefix(DOWNLOADS)}"


def split_token(path: str) -> tuple[str, str | None]:
    """Return a request path without the token in it, and the token; None without one.

    It follows the package: `…/<package_id>/~<token>/master.m3u8`. So relative names in manifests
    stay below it, and all paths of a package begin alike.
    """
    if path[TOKEN_AT : TOKEN_AT + 2] != f"/{TOKEN_MARK}":
        return path, None
    token, _, rest = path[TOKEN_AT + 2 :].partition("/")
    return f"{path[:TOKEN_AT]}/{rest}", token


def parse_target(path: str) -> ContentName | None:
    """Return the object that a request path names, or None when it can name none.

    `path` was percent-decoded once (by the server) and is not decoded again. Only well-formed
    object keys pass, so no name reaches outside its package.
    """
    return _parse(path) if len(path) <= MAX_TARGET_CHARS else None


@lru_cache(maxsize=8192)
def _parse(path: str) -> ContentName | None:
    package_id, _, rest = path.removeprefix(CONTENT_PREFIX).partition("/")
    if not path.startswith(CONTENT_PREFIX) or not PACKAGE_ID.fullmatch(package_id):
        return None
    try:
        check_key(f"packages/{package_id}/{rest}")
    except InvalidKeyError:
        return None
    return ContentName(package_id, rest)


def failed_key(package_id: str) -> str:
    """Return the key of the object that says why a package cannot be made."""
    return f"packages/{package_id}/{FAILED}"


def below(package_id: str) -> str:
    """Return what the keys of all objects of a package begin with."""
    return f"packages/{package_id}/"


def plan_key(package_id: str) -> str:
    """Return the key of a package's plan."""
    return f"packages/{package_id}/{PLAN}"
