"""Answers of the last moment, given again on the thread that reads requests."""

import os
import time
from collections.abc import Callable

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.entrypoints.protocol import HTTPProtocol, Scope
from reelay.content_api.entrypoints.responses import count, send_whole

KEEP_S = 0.25
"""All is forgotten after so long: objects are looked up again, which tells the cache that they are
wanted, and their bytes take no memory beside it."""
MAX_ANSWERS = 4096
Look = tuple[int, int, int]
CONDITIONS = ("range", "if-none-match", "if-match")
"""Header fields that may ask for something else than the whole object."""


class RecentAnswers:
    """Whole objects of open packages that somebody was just sent.

    The event loop's thread notes; any thread answers. Nothing needs a lock: each look
    into the dictionary is one step of the interpreter, and an entry never changes. Files that went
    or were replaced are not sent again.
    """

    def __init__(
        self, is_open: Callable[[str], bool], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`is_open` tells of a package, on any thread, whether it is known to be open to all."""
        self._is_open = is_open
        self._now = now
        self._answers: dict[str, tuple[ContentName, StoredFile, Look]] = {}
        self._until_s = 0.0

    def note(self, path: str, name: ContentName, file: StoredFile) -> None:
        """Let requests for `path` be answered with this object for a moment."""
        look = _look(file.path)
        if look is None:
            return
        now_s = self._now()
        if now_s > self._until_s or len(self._answers) >= MAX_ANSWERS:
            self._answers, self._until_s = {}, now_s + KEEP_S
        self._answers[path] = (name, file, look)

    def answer(self, scope: Scope, proto: HTTPProtocol) -> bool:
        """Answer a plain GET of such an object; else do nothing and return False."""
        answer = self._answers.get(scope.path)
        if answer is None or scope.method != "GET" or self._now() > self._until_s:
            return False
        name, file, look = answer
        if not self._is_open(name.package_id):
            return False
        headers = scope.headers
        if any(field in headers for field in CONDITIONS) or _look(file.path) != look:
            return False
        count(send_whole(proto, name, file))
        return True


def _look(path: str) -> Look | None:
    """Return what tells a file from another that took its place; one system call."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
