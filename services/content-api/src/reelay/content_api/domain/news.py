"""What is told of packages: which of their objects may exist from now on."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.promises import segment_number

RECENT_S = 5.0
"""So long may a look at the store have taken, during which there were news."""
MOST_RECENT = 256
"""Of one package."""


@dataclass(frozen=True)
class News:
    """Something that happened to a package."""

    package_id: str
    stored: Mapping[str, Collection[int]] | None = None
    """Numbers of segments by rendition, none for unknown ones; absent when all may be there."""

    def concerns(self, name: ContentName, rendition: str | None) -> bool:
        """Tell whether an object of a rendition (None: of none, or of all) may exist now.

        What a rendition has beside its segments comes with any of them.
        """
        if name.package_id != self.package_id:
            return False
        if self.stored is None or rendition is None:
            return True
        if rendition not in self.stored:
            return False
        numbers, number = self.stored[rendition], segment_number(name.path)
        return not numbers or number is None or number in numbers


@dataclass
class RecentNews:
    """The news of the last seconds, for those who come to wait after they looked in vain.

    Times are one monotonic clock's, in seconds.
    """

    _news: dict[str, deque[tuple[float, News]]] = field(default_factory=dict)
    """By package, those told of last at the end."""

    def note(self, news: News, now_s: float) -> None:
        """Keep what was just told."""
        mine = self._news.pop(news.package_id, deque(maxlen=MOST_RECENT))
        mine.append((now_s, news))
        self._news[news.package_id] = mine
        for package_id in list(islice(self._news, 2)):  # two, so that they become fewer
            if now_s - self._news[package_id][-1][0] > RECENT_S:
                del self._news[package_id]

    def concern(self, name: ContentName, rendition: str | None, now_s: float) -> bool:
        """Tell whether an object may exist since a moment ago; see News."""
        for heard_s, news in reversed(self._news.get(name.package_id, ())):
            if now_s - heard_s > RECENT_S:
                return False
            if news.concerns(name, rendition):
                return True
        return False
