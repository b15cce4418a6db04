"""The sample tables of a track (ISO/IEC 14496-12, 8.6 and 8.7), gathered segment by segment."""

import struct
import sys
from array import array
from collections.abc import Iterator
from http import HTTPStatus

from reelay.common.errors import PermanentError
from reelay.content_api.domain.fragments import Fragment, Runs
from reelay.content_api.domain.mp4_boxes import HEAD_BYTES, DamagedSegmentError

MAX_SAMPLES = 12_000_000
"""In one track: two days of 60 frames/s. About 16 bytes of each are held while a file is made."""
WRITTEN = 65_536
"""Numbers written at a time."""


class TooLongError(PermanentError):
    """This video is too long for one file."""

    status = HTTPStatus.NOT_FOUND
    problem = "too-long"


class _RunLengths:
    """Numbers of which many in a row are equal."""

    def __init__(self) -> None:
        self.counts = array("I")
        self.values = array("q")

    def add(self, runs: Runs) -> None:
        for count, value in runs:
            if self.values and self.values[-1] == value:
                self.counts[-1] += count
            else:
                self.counts.append(count)
                self.values.append(value)

    def table(self, sign: str) -> Iterator[bytes]:
        """Yield pairs of 32-bit numbers."""
        pack = struct.Struct(">I" + sign).pack
        yield _u32(len(self.counts))
        for start in range(0, len(self.counts), WRITTEN):
            part = slice(start, start + WRITTEN)
            yield b"".join(map(pack, self.counts[part], self.values[part]))

    @property
    def table_bytes(self) -> int:
        return 4 + 8 * len(self.counts)


class SampleTables:
    """What a track's `stbl` tells of its samples; positions count from the payload of `mdat`."""

    def __init__(self) -> None:
        self.duration = 0
        """Of all samples, in the track's timescale."""
        self._sizes = array("I")
        self._chunks = array("Q")
        self._durations = _RunLengths()
        self._offsets = _RunLengths()
        self._sync = array("I")
        self._chunk_lengths = array("I")
        self._all_sync = True

    def add(self, fragment: Fragment, position: int) -> None:
        """Take in the samples of a segment that begins at `position`.

        Raises DamagedSegmentError unless they begin where those before them end, TooLongError.
        """
        if fragment.decode_time != self.duration:
            raise DamagedSegmentError
        first = len(self._sizes)
        for chunk in fragment.chunks:
            self._sizes.extend(chunk.sizes)
            self._chunks.append(position + chunk.position)
            self._chunk_lengths.append(len(chunk.sizes))
        if len(self._sizes) > MAX_SAMPLES:
            raise TooLongError
        self._durations.add(fragment.durations)
        self._offsets.add(fragment.offsets)
        self.duration += sum(count * value for count, value in fragment.durations)
        self._sync.extend(first + index + 1 for index in fragment.sync)
        self._all_sync &= len(fragment.sync) == len(self._sizes) - first

    def size_bytes(self, *, wide: bool) -> int:
        """Return how many bytes `boxes` gives."""
        return sum(HEAD_BYTES + 4 + size for _, _, size, _ in self._tables(0, wide=wide))

    def boxes(self, base: int, *, wide: bool) -> Iterator[bytes]:
        """Yield the boxes, with `base` added to positions; `wide` ones have 64 bits."""
        for kind, version, size, content in self._tables(base, wide=wide):
            yield struct.pack(">I4sI", HEAD_BYTES + 4 + size, kind, version << 24)
            yield from content

    def _tables(
        self, base: int, *, wide: bool
    ) -> Iterator[tuple[bytes, int, int, Iterator[bytes]]]:
        """Yield type, version, size of the content, and the content of each box."""
        yield b"stts", 0, self._durations.table_bytes, self._durations.table("I")
        if any(self._offsets.values):
            # Version 1 has signed offsets (8.6.1.3).
            signed = min(self._offsets.values) < 0
            content = self._offsets.table("i" if signed else "I")
            yield b"ctts", int(signed), self._offsets.table_bytes, content
        if not self._all_sync:
            size = 4 + 4 * len(self._sync)
            yield b"stss", 0, size, _numbers(_u32(len(self._sync)), self._sync)
        runs = self._chunk_runs()
        yield b"stsc", 0, 4 + 12 * len(runs), iter([_u32(len(runs)), *runs])
        head = struct.pack(">II", 0, len(self._sizes))
        yield b"stsz", 0, 8 + 4 * len(self._sizes), _numbers(head, self._sizes)
        size = 4 + (8 if wide else 4) * len(self._chunks)
        yield b"co64" if wide else b"stco", 0, size, self._places(base, wide=wide)

    def _places(self, base: int, *, wide: bool) -> Iterator[bytes]:
        places = array("Q" if wide else "I", (base + position for position in self._chunks))
        yield from _numbers(_u32(len(places)), places)

    def _chunk_runs(self) -> list[bytes]:
        runs: list[bytes] = []
        before = None
        for number, length in enumerate(self._chunk_lengths, 1):
            if length != before:
                runs.append(struct.pack(">III", number, length, 1))
                before = length
        return runs


def _u32(value: int) -> bytes:
    return struct.pack(">I", value)


def _numbers(head: bytes, values: "array[int]") -> Iterator[bytes]:
    yield head
    for start in range(0, len(values), WRITTEN):
        part = values[start : start + WRITTEN]
        if sys.byteorder == "little":
            part.byteswap()
        yield part.tobytes()
