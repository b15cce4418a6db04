"""The object store of an instance: that it can be used, and that it is the one it had before."""

import asyncio
import logging
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from reelay.common.errors import PermanentError
from reelay.standalone.secret import write_private
from reelay.standalone.settings import InvalidSettingError, Settings

if TYPE_CHECKING:
    from reelay.common.storage import ObjectStore


UNREADABLE = "it is no URL of a store; are its key and secret percent-encoded?"


class StoreUnusableError(PermanentError):
    """The object store cannot be written."""


class OtherStoreError(PermanentError):
    """What this data directory knows lies in another object store."""


def settle(settings: Settings) -> None:
    """Make the instance's own store, or see whether the shared one can be used.

    Raises InvalidSettingError, StoreUnusableError, or OtherStoreError when objects that the
    instance knows would be missing.
    """
    try:
        _stay(settings, place(settings.store_url))
        if settings.shared_store:
            _check(settings.shared_store, was_used=settings.store_place.exists())
        else:
            settings.store.mkdir(mode=0o700, exist_ok=True)
    except ValueError as error:
        raise InvalidSettingError(f"REELAY_STORE_URL: {error}.") from None
    write_private(settings.store_url_file, settings.store_url + "\n")


def remember(settings: Settings) -> None:
    """Note that objects lie in the shared store, once it has been used."""
    if settings.shared_store:
        settings.store_place.write_text(place(settings.shared_store) + "\n")


def place(url: str) -> str:
    """Return where a store is, without secret and options; raise ValueError."""
    try:
        parts = urlsplit(url)
    except ValueError:  # which shows all of it
        raise ValueError(UNREADABLE) from None
    if "@" in url and "@" not in parts.netloc + parts.path:
        raise ValueError(UNREADABLE)
    where = parts.netloc + parts.path.rstrip("/")
    # Nothing before an "@": a secret that is not percent-encoded may hold a slash.
    return f"{parts.scheme}://{where if parts.scheme == 'file' else where.rpartition('@')[2]}"


def _check(url: str, *, was_used: bool) -> None:
    # Not needed without a shared store, and it takes longer to load than all else here.
    from reelay.common.storage import StoreUnavailableError, open_store

    if url.startswith("file:///"):
        _check_folder(Path(unquote(urlsplit(url).path)), was_used=was_used)
    try:
        asyncio.run(_ask(open_store(url)))
    except StoreUnavailableError as error:
        raise StoreUnusableError(f"REELAY_STORE_URL cannot be used: {error.detail}") from None


def _check_folder(folder: Path, *, was_used: bool) -> None:
    """See whether a folder is there, which is not made: its disk may not be mounted yet."""
    if not folder.is_dir():
        raise StoreUnusableError(f"There is no folder {folder}, which REELAY_STORE_URL names.")
    try:
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise StoreUnusableError(f"{folder} cannot be read: {error.strerror}.") from None
    if was_used and is_empty:
        raise StoreUnusableError(f"{folder} is empty and was not before: is its disk mounted?")


async def _ask(store: "ObjectStore") -> None:
    """Return when the store works; raise StoreUnavailableError after some attempts."""
    # Its attempts would be told one by one, before the sentence that sums them up.
    logging.getLogger("urllib3").addHandler(logging.NullHandler())
    async with aclosing(store):
        await store.check()


def _stay(settings: Settings, now: str) -> None:
    """Raise OtherStoreError when the objects so far are elsewhere."""
    if settings.store_place.exists():
        before, sign = settings.store_place.read_text().strip(), settings.store_place
        remedy = "set REELAY_STORE_URL to that store"
    elif settings.store.exists() and any(settings.store.iterdir()):
        before, sign = settings.store.as_uri(), settings.store
        remedy = "unset REELAY_STORE_URL"
    else:
        return
    if before != now:
        raise OtherStoreError(
            f"The objects of {settings.data} lie in {before}, not in {now}: {remedy}, or choose "
            f"another REELAY_DATA. If they were copied to {now}, remove {sign}."
        )
