"""Which packages not everybody may fetch, and which tokens open them."""

from collections.abc import Mapping
from dataclasses import dataclass

from reelay.common.content_access import Grant


@dataclass(frozen=True, slots=True)
class Restriction:
    """Who may fetch a package that is not open to all."""

    video_ids: frozenset[str] | None
    """Videos whose tokens are good; nobody's when it is empty, those of all when it is None."""

    def admits(self, grant: Grant) -> bool:
        """Tell whether a token of this package is one of those, if its time is not over."""
        return self.video_ids is None or grant.video_id in self.video_ids


CLOSED = Restriction(frozenset())
ANY_TOKEN = Restriction(None)


def stricter(one: Restriction | None, other: Restriction | None) -> Restriction | None:
    """Return what holds when two sources speak of one package; None is open to all."""
    if CLOSED in (one, other):
        return CLOSED
    return one or other


class Restrictions:
    """What the broker told last; packages that it does not speak of are open."""

    __slots__ = ("_by_package", "current", "were_current")

    def __init__(self) -> None:
        self._by_package: dict[str, Restriction] = {}
        self.current = False
        """Whether every change is heard now, and all earlier ones were."""
        self.were_current = False
        """Whether that ever was so."""

    def is_open(self, package_id: str) -> bool:
        """Tell whether a package is known to be open: one look into a dictionary."""
        return self.current and package_id not in self._by_package

    def get(self, package_id: str) -> Restriction | None:
        """Return what was last known of a package, be it current or not."""
        return self._by_package.get(package_id)

    def note(self, package_id: str, restriction: Restriction | None) -> None:
        """Take in a change."""
        if restriction is None:
            self._by_package.pop(package_id, None)
        else:
            self._by_package[package_id] = restriction

    def replace(self, by_package: Mapping[str, Restriction]) -> list[str]:
        """Take in everything anew; return the packages whose restriction is news."""
        news = [p for p, r in by_package.items() if self._by_package.get(p) != r]
        self._by_package = dict(by_package)
        return news
