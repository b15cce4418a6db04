"""An upload knows where it stands."""

from uuid import uuid4

import pytest

from reelay.common.identity import PART_SIZE_BYTES
from reelay.upload.domain.upload import State, Upload


@pytest.mark.parametrize(
    ("offset_bytes", "next_part", "tail_bytes"),
    [
        (0, 1, 0),
        (1, 1, 1),
        (PART_SIZE_BYTES - 1, 1, PART_SIZE_BYTES - 1),
        (PART_SIZE_BYTES, 2, 0),
        (2 * PART_SIZE_BYTES + 5, 3, 5),
    ],
)
def test_offset_tells_the_part_and_the_tail(
    offset_bytes: int, next_part: int, tail_bytes: int
) -> None:
    upload = Upload(uuid4(), "ada", 3 * PART_SIZE_BYTES).moved_to(offset_bytes)
    assert (upload.next_part, upload.tail_bytes) == (next_part, tail_bytes)
    assert upload.has_room_for(3 * PART_SIZE_BYTES - offset_bytes)
    assert not upload.has_room_for(3 * PART_SIZE_BYTES - offset_bytes + 1)


def test_attempt_is_kept_and_tail_is_replaced() -> None:
    upload = Upload(uuid4(), "ada", 100).moved_to(10, tail_key="t1", attempt="a")
    assert upload.moved_to(20) == upload.moved_to(20, tail_key=None, attempt="a")


def test_only_an_unfinished_whole_upload_waits_to_be_finished() -> None:
    upload = Upload(uuid4(), "ada", 100)
    assert not upload.waits_to_be_finished
    assert upload.moved_to(100).waits_to_be_finished
    ended = Upload(uuid4(), "ada", 100, offset_bytes=100, state=State.COMPLETE)
    assert not ended.waits_to_be_finished
