"""Which objects a bounded cache gives up: S3-FIFO, with sizes in bytes.

Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023, algorithm 1. What is
asked for once, as by somebody who scans everything, passes through a small queue and never
displaces what is asked for again.
"""

from collections import OrderedDict
from collections.abc import Callable

SMALL_SHARE = 0.1
"""Share of the room that objects asked for once may take while there is no room left."""
MAX_USES = 3
GHOSTS = 100_000
"""Names remembered of objects that were given up, at most."""


class Eviction:
    """Names with sizes; tells which to drop so that the sum stays below a limit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._small: OrderedDict[str, int] = OrderedDict()
        self._main: OrderedDict[str, int] = OrderedDict()
        self._ghosts: OrderedDict[str, int] = OrderedDict()
        self._uses: dict[str, int] = {}
        self._small_bytes = 0
        self._ghost_bytes = 0
        self.size_bytes = 0

    def use(self, name: str) -> None:
        """Note that an object was asked for again."""
        uses = self._uses.get(name)
        if uses is not None and uses < MAX_USES:
            self._uses[name] = uses + 1

    def add(self, name: str, size_bytes: int) -> None:
        """Take in an object that is not there; one given up a while ago is wanted more."""
        self._uses[name] = 0
        self.size_bytes += size_bytes
        if name in self._ghosts:
            self._ghost_bytes -= self._ghosts.pop(name)
            self._main[name] = size_bytes
        else:
            self._small[name] = size_bytes
            self._small_bytes += size_bytes

    def remove(self, name: str) -> None:
        """Forget an object; one that is not there is no error."""
        self._uses.pop(name, None)
        size = self._main.pop(name, None)
        if size is None:
            size = self._small.pop(name, 0)
            self._small_bytes -= size
        self.size_bytes -= size

    def shrink(self, kept: Callable[[str], bool]) -> list[str]:
        """Remove what is over the limit and return its names; `kept` ones are passed over."""
        dropped: list[str] = []
        # Every object comes to the front at most so often before it is dropped or known as kept.
        steps = (MAX_USES + 2) * len(self._uses)
        while self.size_bytes > self._max_bytes and steps > 0:
            steps -= 1
            small = self._small_bytes > SMALL_SHARE * self._max_bytes or not self._main
            name = self._step_small(kept) if small and self._small else self._step_main(kept)
            if name is not None:
                dropped.append(name)
        return dropped

    def _step_small(self, kept: Callable[[str], bool]) -> str | None:
        name, size = self._small.popitem(last=False)
        if kept(name):
            self._small[name] = size
            return None
        self._small_bytes -= size
        if self._uses[name] > 1:
            self._uses[name] = 0
            self._main[name] = size
            return None
        self._remember(name, size)
        return self._gone(name, size)

    def _step_main(self, kept: Callable[[str], bool]) -> str | None:
        name, size = self._main.popitem(last=False)
        if self._uses[name] or kept(name):
            self._uses[name] = max(0, self._uses[name] - 1)
            self._main[name] = size
            return None
        return self._gone(name, size)

    def _gone(self, name: str, size: int) -> str:
        del self._uses[name]
        self.size_bytes -= size
        return name

    def _remember(self, name: str, size: int) -> None:
        self._ghosts[name] = size
        self._ghost_bytes += size
        while self._ghost_bytes > self._max_bytes or len(self._ghosts) > GHOSTS:
            self._ghost_bytes -= self._ghosts.popitem(last=False)[1]
