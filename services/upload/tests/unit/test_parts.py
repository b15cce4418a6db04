"""A part is collected and hashed exactly, however its bytes are cut."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from reelay.common.identity import PART_SIZE_BYTES
from reelay.upload.domain.parts import PartBuffer

from .spools import InMemorySpool


def all_bytes(buffer: PartBuffer) -> bytes:
    room = bytearray(PART_SIZE_BYTES)
    return bytes(buffer.read_into(room) if buffer.memory is None else buffer.lend())


@given(st.lists(st.binary(max_size=100), max_size=20), st.sets(st.integers(0, 20)), st.booleans())
def test_digest_and_bytes_do_not_depend_on_the_cuts(
    blocks: list[bytes], cuts: set[int], spooled: bool
) -> None:
    buffer = PartBuffer(InMemorySpool() if spooled else bytearray(PART_SIZE_BYTES))
    for number, block in enumerate(blocks):
        assert buffer.add(block) == b""
        if number in cuts:
            buffer.digest_blocks(buffer.cut_pending())
            assert buffer.pending_bytes == 0
    whole = b"".join(blocks)
    buffer.digest_blocks(buffer.cut_pending())
    assert (buffer.size_bytes, all_bytes(buffer)) == (len(whole), whole)
    assert buffer.digest() == hashlib.sha256(whole).digest()
    buffer.add(b"more")
    buffer.digest_blocks(buffer.cut_pending())
    assert buffer.digest() == hashlib.sha256(whole + b"more").digest()
    assert all_bytes(buffer) == whole + b"more"


@settings(max_examples=10)
@given(st.integers(1, PART_SIZE_BYTES), st.integers(0, 3 * PART_SIZE_BYTES))
def test_part_takes_what_it_has_room_for(first_bytes: int, second_bytes: int) -> None:
    buffer = PartBuffer(bytearray(PART_SIZE_BYTES))
    buffer.add(bytes(first_bytes))
    rest = buffer.add(bytes(second_bytes))
    assert buffer.size_bytes == min(PART_SIZE_BYTES, first_bytes + second_bytes)
    assert len(rest) == first_bytes + second_bytes - buffer.size_bytes
    assert buffer.full == (buffer.size_bytes == PART_SIZE_BYTES)
