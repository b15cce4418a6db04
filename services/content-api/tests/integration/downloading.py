"""A package to download, and what its files are made of."""

from ..segments import SyntheticTrack, film, package

TRACKS = film(sample_bytes=4000)
OBJECTS = package(TRACKS)
FILE = "downloads/360p.mp4"


def samples(track: SyntheticTrack) -> list[bytes]:
    return [sample for segment in track.samples for sample in segment]
