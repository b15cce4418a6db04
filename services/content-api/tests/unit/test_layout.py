"""Every range of an assembled file is what the same range of its parts, joined, would be."""

import random

from hypothesis import given
from hypothesis import strategies as st

from reelay.content_api.domain.layout import HEADER, Layout, objects
from reelay.content_api.domain.promises import PlannedRendition
from reelay.content_api.domain.ranges import ByteRange

VIDEO = PlannedRendition("360p", "video/360p", 3)
SOUND = PlannedRendition("audio", "audio/main", 2)


def test_segments_of_pictures_and_sound_take_turns() -> None:
    layout = Layout([VIDEO, SOUND], 10, [1] * 7)
    assert [layout.object_path(part) for part in range(1, 8)] == [
        "video/360p/init.mp4", "audio/main/init.mp4", "video/360p/1.m4s", "audio/main/1.m4s",
        "video/360p/2.m4s", "audio/main/2.m4s", "video/360p/3.m4s",
    ]  # fmt: skip


def test_places_of_a_rendition_begin_with_its_init_segment() -> None:
    layout = Layout([VIDEO, SOUND], 10, [1, 2, 3, 4, 5, 6, 7])
    assert list(layout.places(1)) == [ByteRange(11, 13), ByteRange(16, 20), ByteRange(25, 31)]
    assert layout.size_bytes == 10 + 28
    assert layout.size_of(HEADER) == 10


@given(
    st.integers(1, 40),
    st.integers(0, 12),
    st.lists(st.integers(0, 30), min_size=60, max_size=60),
    st.data(),
)
def test_slices_of_any_range_join_to_the_range_of_the_whole(
    video: int, sound: int, lengths: list[int], data: st.DataObject
) -> None:
    streams = [PlannedRendition("v", "video/v", video)]
    if sound:
        streams.append(PlannedRendition("a", "audio/a", sound))
    count = len(list(objects(streams)))
    randomly = random.Random(7)
    contents = [randomly.randbytes(length) for length in [5, *lengths[:count]]]
    layout = Layout(streams, 5, [len(content) for content in contents[1:]])
    whole = b"".join(contents)
    assert layout.size_bytes == len(whole)
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start + 1, len(whole)))
    slices = list(layout.slices(ByteRange(start, end)))
    joined = b"".join(contents[s.part][s.bytes.start : s.bytes.end] for s in slices)
    assert joined == whole[start:end]
    assert all(s.bytes.length > 0 for s in slices)
    paths = [layout.object_path(part) for part in range(1, count + 1)]
    assert paths == [streams[index].object_path(n) for index, n in objects(streams)]
