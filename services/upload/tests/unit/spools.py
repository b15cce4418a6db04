"""Spools for tests without I/O."""

from reelay.common.storage.port import Bytes


class InMemorySpool:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def write(self, block: Bytes) -> None:
        self.blocks.append(bytes(block))

    def read_into(self, room: memoryview) -> None:
        room[:] = b"".join(self.blocks)

    def close(self) -> None:
        self.blocks.clear()
