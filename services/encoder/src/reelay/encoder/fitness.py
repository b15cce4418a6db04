"""Whether this encoder can work: its store answers, and FFmpeg encodes a frame."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from reelay.common.storage.port import ObjectStore, StoreUnavailableError

SOURCES = "sources/"

Trial = Callable[[str], Awaitable[None]]
"""Raises unless a provider encodes a frame."""


class Fitness:
    """What this encoder offers, and whether it still could when that was looked at last."""

    def __init__(self, providers: Sequence[str], store: ObjectStore, trial: Trial) -> None:
        self._store = store
        self._trial = trial
        self._fit = dict.fromkeys(providers, True)

    @property
    def providers(self) -> list[str]:
        """Return the providers that can work, as far as is known."""
        return [provider for provider, fit in self._fit.items() if fit]

    async def check(self, provider: str) -> None:
        """Return when chunks for a provider can be made here; raise what speaks against it.

        Raises StoreUnavailableError, or what the trial raises.
        """
        try:
            await self._store.check()
            await assert_sources(self._store)
            await self._trial(provider)
        except Exception:
            self._fit[provider] = False
            raise
        self._fit[provider] = True


async def assert_sources(store: ObjectStore) -> None:
    """Raise StoreUnavailableError when a store that should have a source has none at all.

    So does a folder before the file system is mounted there that others share.
    """
    async with aclosing(store.scan(SOURCES)) as found:  # type: ignore[type-var]  # a generator
        async for _ in found:
            return
    raise StoreUnavailableError("The store holds no source at all: is its folder mounted?")
