"""Where everything lies in a file that is put together from the segments of a package."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from reelay.content_api.domain.promises import PlannedRendition
from reelay.content_api.domain.ranges import ByteRange

HEADER = 0
"""Number of the part that no package has: what is made from the segments' heads."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some bytes of one part of a file."""

    part: int
    bytes: ByteRange


class Layout:
    """Parts one behind the other: the header, the init segments, then segments by turns.

    So a picture and its sound are never far apart.
    """

    def __init__(
        self, streams: Sequence[PlannedRendition], header_bytes: int, sizes: Sequence[int]
    ) -> None:
        """`sizes` are those of what `objects` yields, in bytes."""
        self.streams = tuple(streams)
        self._starts = array("Q", accumulate(sizes, initial=header_bytes))
        self._starts.insert(0, 0)
        self.size_bytes = self._starts[-1]

    def slices(self, asked: ByteRange) -> Iterator[Slice]:
        """Yield the pieces of which some bytes of the file consist; none of them is empty."""
        position = asked.start
        part = bisect_right(self._starts, position) - 1
        while position < asked.end:
            start, end = self._starts[part], min(asked.end, self._starts[part + 1])
            if end > position:
                yield Slice(part, ByteRange(position - start, end - start))
                position = end
            part += 1

    def size_of(self, part: int) -> int:
        """Return the size of a part in bytes."""
        return self._starts[part + 1] - self._starts[part]

    def object_path(self, part: int) -> str:
        """Return the path, relative to the package, of the object that is a part of the file."""
        stream, number = self._object(part - 1)
        return stream.object_path(number)

    def places(self, stream: int) -> Iterator[ByteRange]:
        """Yield where the objects of a stream lie, the init segment first."""
        for part, (of, _) in enumerate(objects(self.streams), 1):
            if of == stream:
                yield ByteRange(self._starts[part], self._starts[part + 1])

    def _object(self, index: int) -> tuple[PlannedRendition, int]:
        count = len(self.streams)
        if index < count:
            return self.streams[index], 0
        index -= count
        shortest = min(stream.segments for stream in self.streams)
        if index < shortest * count:
            return self.streams[index % count], index // count + 1
        longest = max(self.streams, key=lambda stream: stream.segments)
        return longest, index - shortest * (count - 1) + 1


def objects(streams: Sequence[PlannedRendition]) -> Iterator[tuple[int, int]]:
    """Yield the objects of one or two streams in the order of a file: which stream, which number.

    Number 0 is the init segment.
    """
    for number in range(1 + max(stream.segments for stream in streams)):
        for index, stream in enumerate(streams):
            if number <= stream.segments:
                yield index, number
