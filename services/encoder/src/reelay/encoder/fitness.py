"""Whether this encoder can work: FFmpeg encodes a frame, and its store gives and takes objects."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from reelay.common.storage import assert_in_use
from reelay.common.storage.port import ObjectStore

PROBES = "staging/fitness"
"""What is left here by an encoder that died meanwhile is collected like all that is staged."""

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
        fit = False
        try:
            await self._trial(provider)
            await self._store.check()
            await assert_in_use(self._store)
            await self._try_to_stage()
            fit = True
        finally:
            self._fit[provider] = fit

    async def _try_to_stage(self) -> None:
        """Store an object and delete it: a key may be allowed to read alone."""
        key = f"{PROBES}/{uuid4().hex}/probe"
        await self._store.put(key, b"x")
        await self._store.delete(key)
