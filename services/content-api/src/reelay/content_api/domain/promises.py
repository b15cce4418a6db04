"""Which names the plan of a package promises: exactly those may be served or waited for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reelay.content_api.domain.names import INDEX, PLAN

MANIFESTS = frozenset({"master.m3u8", "manifest.mpd"})
DOCUMENTS = frozenset({PLAN, INDEX})
RENDITION_FILES = frozenset({"init.mp4", "index.m3u8"})
SEGMENT = re.compile(r"([1-9][0-9]{0,8})\.m4s")


@dataclass(frozen=True, slots=True)
class PlannedRendition:
    """One rendition of a plan; its segments are counted from 1."""

    id: str
    path: str
    """Relative to the package, for example video/360p."""
    segments: int

    @property
    def is_audio(self) -> bool:
        """Whether it is sound: its path tells."""
        return self.path.startswith("audio/")

    def object_path(self, number: int) -> str:
        """Return the path of a segment, or of the init segment, which is number 0."""
        return f"{self.path}/{number}.m4s" if number else f"{self.path}/init.mp4"


def segment_number(path: str) -> int | None:
    """Return the number of a segment, by its path; None for all other objects."""
    segment = SEGMENT.fullmatch(path.rpartition("/")[2])
    return int(segment.group(1)) if segment else None


class Promises:
    """The names that a package will have, whether they exist yet or not."""

    __slots__ = ("_renditions",)

    def __init__(self, renditions: Iterable[PlannedRendition]) -> None:
        self._renditions = {rendition.path: rendition for rendition in renditions}

    def promised(self, path: str) -> bool:
        """Tell whether `path` exists or will exist: a manifest, an init segment, a segment."""
        if path in MANIFESTS:
            return True
        directory, _, file = path.rpartition("/")
        rendition = self._renditions.get(directory)
        if rendition is None:
            return False
        if file in RENDITION_FILES:
            return True
        number = segment_number(path)
        return number is not None and number <= rendition.segments

    def served(self, path: str) -> bool:
        """Tell whether `path` may be served when it exists: what is promised, plan and index."""
        return path in DOCUMENTS or self.promised(path)

    def muxed(self, rendition: str) -> list[PlannedRendition]:
        """Return what a file of a rendition holds: itself, and the sound beside pictures.

        Nothing when there is no such rendition.
        """
        found = [planned for planned in self._renditions.values() if planned.id == rendition]
        if not found or found[0].is_audio:
            return found[:1]
        sounds = [planned for planned in self._renditions.values() if planned.is_audio]
        return [found[0], *sounds[:1]]

    def rendition_of(self, path: str) -> str | None:
        """Return the id of the rendition that `path` belongs to, or None for a manifest."""
        rendition = self._renditions.get(path.rpartition("/")[0])
        return rendition.id if rendition else None
