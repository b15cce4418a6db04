"""Whether this encoder can work: FFmpeg encodes a frame, and its store gives and takes objects."""

from collections.abc import Awaitable, Callable, Sequence

from reelay.common.storage import ObjectStore, assert_works

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

        Raises what the store or the trial does.
        """
        fit = False
        try:
            await self._trial(provider)
            await assert_works(self._store)
            fit = True
        finally:
            self._fit[provider] = fit
