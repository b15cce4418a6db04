"""A header leads to every sample in the segments behind it, at its time."""

import hashlib
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelay.content_api.domain import sample_tables
from reelay.content_api.domain.fragments import Chunk, Fragment, read_fragment
from reelay.content_api.domain.layout import objects
from reelay.content_api.domain.mp4_boxes import DamagedSegmentError
from reelay.content_api.domain.progressive import FilledTrack, Header, make_header
from reelay.content_api.domain.promises import PlannedRendition
from reelay.content_api.domain.sample_tables import SampleTables, TooLongError
from reelay.content_api.domain.tracks import read_track

from ..segments import SyntheticTrack, film, inside, read_mp4

GOLDEN = "6087d90be01e9f5f749264917d76f29feddb6398d20b20c927751b884b7ae25f"
"""SHA-256 of the file of `film()`. Bytes under a path never change, and caches keep them for a
year: a change of the layout needs other paths than `downloads/`."""


def header_and_payload(tracks: Sequence[SyntheticTrack], far: int = 0) -> tuple[Header, bytes]:
    """Put a file together from segments in memory; `far`: bytes to imagine before them."""
    streams = [PlannedRendition(t.name, t.path, len(t.lengths)) for t in tracks]
    filled = [FilledTrack(read_track(t.init), SampleTables()) for t in tracks]
    payload = b""
    for index, number in objects(streams):
        data = tracks[index].segment(number) if number else tracks[index].init
        if number:
            fragment = read_fragment(data, len(data), filled[index].track.defaults)
            filled[index].tables.add(fragment, far + len(payload))
        payload += data
    return make_header(filled, far + len(payload)), payload


def file_of(tracks: Sequence[SyntheticTrack]) -> bytes:
    header, payload = header_and_payload(tracks)
    start = b"".join(header.blocks())
    assert len(start) == header.size_bytes
    return start + payload


def test_every_sample_is_found_in_order_and_in_time() -> None:
    video, _, sound = film()
    pictures, heard = read_mp4(file_of([video, sound]))
    assert pictures.samples == [sample for segment in video.samples for sample in segment]
    assert heard.samples == [sample for segment in sound.samples for sample in segment]
    assert sorted(pictures.times) == list(range(200))
    assert pictures.times[:4] == [0, 3, 1, 2]
    assert heard.times == [1024 * n for n in range(sum(sound.lengths))]
    assert pictures.sync == [1, 26, 51, 101]
    assert b"stss" not in heard.boxes
    assert b"elst" not in heard.boxes


def test_header_has_no_movie_extends_so_that_players_look_for_no_fragments() -> None:
    data = file_of(film()[1:])
    boxes = {kind: content for kind, content, _ in inside(data)}
    assert b"mvex" not in {kind for kind, _, _ in inside(boxes[b"moov"])}
    assert b"udta" not in {kind for kind, _, _ in inside(boxes[b"moov"])}
    assert b"moof" in boxes[b"mdat"]


def test_layout_is_frozen() -> None:
    video, _, sound = film()
    assert hashlib.sha256(file_of([video, sound])).hexdigest() == GOLDEN


def test_sound_alone_is_a_file_too() -> None:
    sound = film()[2]
    (heard,) = read_mp4(file_of([sound]))
    assert heard.samples == [sample for segment in sound.samples for sample in segment]


def test_files_beyond_4_gib_have_wide_positions() -> None:
    far = 1 << 32
    video = film()[0]
    header, payload = header_and_payload([video], far)
    start = b"".join(header.blocks())
    assert len(start) == header.size_bytes
    size = int.from_bytes(start[-8:], "big")
    assert (start[-16:-8], size) == (b"\0\0\0\x01mdat", 16 + far + len(payload))
    small = b"".join(header_and_payload([video])[0].blocks())
    assert b"co64" in start
    assert b"co64" not in small
    place = start.index(b"co64") + 12
    first = int.from_bytes(start[place : place + 8], "big") - header.size_bytes - far
    assert payload[first:].startswith(video.samples[0][0])


def test_segment_that_does_not_follow_the_one_before_is_refused() -> None:
    video = film()[0]
    tables = SampleTables()
    data = video.segment(2)
    with pytest.raises(DamagedSegmentError):
        tables.add(read_fragment(data, len(data), read_track(video.init).defaults), 0)


def test_video_of_days_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_tables, "MAX_SAMPLES", 40)
    with pytest.raises(TooLongError):
        file_of(film()[:1])


Samples = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1), st.booleans()),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(st.lists(Samples, min_size=1, max_size=6))
def test_tables_have_the_size_that_they_announce(
    segments: list[list[tuple[int, int, bool]]],
) -> None:
    tables = SampleTables()
    for samples in segments:
        fragment = Fragment(
            tables.duration,
            [Chunk(0, array("I", [size for size, _, _ in samples]))],
            [(len(samples), 1)],
            [(1, offset) for _, offset, _ in samples],
            [n for n, (_, _, sync) in enumerate(samples) if sync],
        )
        tables.add(fragment, 0)
    for wide in (False, True):
        content = b"".join(tables.boxes(100, wide=wide))
        assert len(content) == tables.size_bytes(wide=wide)
        assert next(kind for kind, _, _ in inside(content)) == b"stts"
