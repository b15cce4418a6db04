"""Answers of the last moment, given again on the thread that reads requests."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EOPNOTSUPP

from reelay.common.errors import ReelayError
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.entrypoints.protocol import Fields, HTTPProtocol, ProtocolClosed, Scope
from reelay.content_api.entrypoints.responses import count, whole_fields
from reelay.content_api.entrypoints.streams import STEP_BYTES, Streams

KEEP_S = 0.25
"""After so long an object is looked up anew, which tells the cache that it is wanted; until that is
done, for as long again at most, its answer is still given."""
MAX_ANSWERS = 4096
"""Of this moment and the one before it."""
MAX_CONTENT_BYTES = 8 * 1024**2
"""What is kept of the bytes of larger objects that were asked for again."""
Look = tuple[int, int, int]
"""What tells a file from another that took its place: inode, bytes, time of change in ns."""


@dataclass(slots=True)
class Answer:
    """An object that somebody was just sent."""

    name: ContentName
    file: StoredFile
    fields: Fields
    look: Look
    looked_up_anew: bool = False


@dataclass(slots=True)
class Moment:
    """The answers of a quarter second, and the bytes of some."""

    until_s: float
    answers: dict[str, Answer] = field(default_factory=dict)
    contents: dict[Look, list[bytes]] = field(default_factory=dict)
    content_bytes: int = 0


class RecentAnswers:
    """Whole objects of open packages that somebody was just sent.

    The event loop's thread notes; the thread that reads requests answers. Each look into a
    dictionary is one step of the interpreter, and all that changes of an entry is that it was
    looked up anew. Files that went or were replaced are not sent again.
    """

    def __init__(
        self,
        is_open: Callable[[str], bool],
        at_hand: Callable[[ContentName], StoredFile | None],
        streams: Streams,
        call_soon: Callable[..., object],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`is_open` tells of a package, on any thread, whether it is known to be open to all.

        `at_hand` looks an object up on the event loop's thread, where `call_soon` calls it.
        """
        self._is_open = is_open
        self._at_hand = at_hand
        self._streams = streams
        self._call_soon = call_soon
        self._now = now
        self._before, self._moment = Moment(0.0), Moment(0.0)

    def note(self, path: str, name: ContentName, file: StoredFile) -> None:
        """Let requests for `path` be answered with this object for a moment."""
        look = _look(file.path)
        if look is None:
            return
        now_s = self._now()
        if now_s > self._moment.until_s or len(self._moment.answers) >= MAX_ANSWERS // 2:
            self._before, self._moment = self._moment, Moment(now_s + KEEP_S)
        fields = whole_fields(name, file.size_bytes)
        self._moment.answers[path] = Answer(name, file, fields, look)

    def answer(self, scope: Scope, proto: HTTPProtocol) -> bool:
        """Answer a plain GET of such an object; else do nothing and return False."""
        path = scope.path
        answer = self._recent(path)
        if answer is None or scope.method != "GET" or not self._is_open(answer.name.package_id):
            return False
        headers, file = scope.headers, answer.file
        if "range" in headers or "if-none-match" in headers or "if-match" in headers:
            return False  # These may ask for something else than the whole object.
        if _look(file.path) != answer.look:
            return False
        if file.content is not None:
            proto.response_bytes(200, answer.fields, file.content)
        elif not self._stream(answer, proto):
            proto.response_file(200, answer.fields, file.path)
        count(200)
        return True

    def _recent(self, path: str) -> Answer | None:
        """Return an answer that may be given; see to it that an older one is looked up anew."""
        for moment in (self._moment, self._before):
            answer = moment.answers.get(path)
            if answer is None:
                continue
            late_s = self._now() - moment.until_s
            if late_s > KEEP_S:
                return None
            if late_s > 0 and not answer.looked_up_anew:
                answer.looked_up_anew = True
                self._call_soon(self._look_up_anew, path, answer.name)
            return answer
        return None

    def _look_up_anew(self, path: str, name: ContentName) -> None:
        """Note an object again if it is still at hand; on the event loop's thread."""
        with suppress(ReelayError):  # Whoever asks next is told.
            if file := self._at_hand(name):
                self.note(path, name, file)

    def _stream(self, answer: Answer, proto: HTTPProtocol) -> bool:
        """Answer from memory if that is possible."""
        size_bytes = answer.file.size_bytes
        if not self._streams.has_share(size_bytes):
            return False
        content = self._content(answer)
        if content is None:
            return False
        stream = self._streams.open(proto, 200, answer.fields, size_bytes)
        if stream is None:
            return False
        with suppress(ProtocolClosed):  # Whoever asked left meanwhile.
            for piece in content:
                stream.send(piece)
        return True

    def _content(self, answer: Answer) -> list[bytes] | None:
        """Return an object's bytes if they fit and can be had without waiting for a disk.

        Those that nobody asked for since go with the moment in which somebody did.
        """
        moment, before = self._moment, self._before
        look, size_bytes = answer.look, answer.file.size_bytes
        content = moment.contents.get(look)
        if content is not None:
            return content
        content = before.contents.pop(look, None)
        if content is not None:
            before.content_bytes -= size_bytes
        elif moment.content_bytes + before.content_bytes + size_bytes <= MAX_CONTENT_BYTES:
            content = _read_at_once(answer)
        if content is not None:
            moment.contents[look] = content
            moment.content_bytes += size_bytes
        return content


def _read_at_once(answer: Answer) -> list[bytes] | None:
    """Return a file's bytes, in two pieces, if the kernel has them all in memory (preadv2(2))."""
    content = bytearray(answer.file.size_bytes)
    try:
        file = os.open(answer.file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _told(os.fstat(file)) != answer.look:
            return None
        whole = _read(file, content) == len(content)
    except OSError:
        return None
    finally:
        os.close(file)
    # Fewer pieces are sent sooner (decision 16); the last is small: it does not count (streams.py).
    last = max(0, len(content) - STEP_BYTES)
    return [bytes(part) for part in (content[:last], content[last:]) if part] if whole else None


def _read(file: int, content: bytearray) -> int:
    """Read a file from its beginning; raise OSError where that would wait for a disk."""
    try:
        return os.preadv(file, [content], 0, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno != EOPNOTSUPP:
            raise
    # The file system (tmpfs, NFS) cannot tell; the answer before this one has just read it.
    return os.preadv(file, [content], 0)


def _look(path: str) -> Look | None:
    """Look at a file; one system call."""
    try:
        return _told(os.lstat(path))
    except OSError:
        return None


def _told(status: os.stat_result) -> Look:
    return status.st_ino, status.st_size, status.st_mtime_ns
