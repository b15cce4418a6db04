"""What becomes of requests between Granian's thread and the event loop's."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from reelay.common.prompt_worker import Requests


@dataclass
class Request:
    """Stands for Granian's watcher of a request."""

    scope: Any
    proto: Any = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: BaseException | None = None
    task: asyncio.Task[None] | None = None

    def done(self) -> None:
        self.ended.set()

    def err(self, error: BaseException) -> None:
        self.error = error
        self.ended.set()

    def taskref(self, task: asyncio.Task[None]) -> None:
        self.task = task


@dataclass
class Scope:
    path: str


class App:
    """Answers `/again` on any thread, `/soon` at once, anything else later; `/bug…` breaks it."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.may_answer = asyncio.Event()

    def again(self, scope: Scope, proto: None) -> bool:
        if scope.path == "/bug-again":
            raise RuntimeError("again")
        if scope.path == "/again":
            self.answered.append(f"/again on {threading.current_thread().name}")
            return True
        return False

    def at_once(self, scope: Scope, proto: None) -> bool:
        if scope.path == "/bug":
            raise RuntimeError("at once")
        if scope.path.startswith("/soon"):
            self.answered.append(scope.path)
            return True
        return False

    async def __rsgi__(self, scope: Scope, proto: None) -> None:
        if scope.path == "/bug-later":
            raise RuntimeError("later")
        await self.may_answer.wait()
        self.answered.append(scope.path)


async def ended(*requests: Request) -> None:
    await asyncio.gather(*(request.ended.wait() for request in requests))


async def test_what_needs_no_waiting_is_answered_without_a_task_before_what_does() -> None:
    app = App()
    requests = Requests(asyncio.get_running_loop(), app)
    later, soon = Request(Scope("/later")), Request(Scope("/soon"))
    requests.add(later)
    requests.add(soon)
    await ended(soon)
    assert soon.task is None
    assert later.task is not None
    assert app.answered == ["/soon"]
    app.may_answer.set()
    await ended(later)
    assert app.answered == ["/soon", "/later"]


async def test_requests_that_come_from_another_thread_are_answered_in_order() -> None:
    app = App()
    requests = Requests(asyncio.get_running_loop(), app)
    many = [Request(Scope(f"/soon{number}")) for number in range(1000)]

    def send() -> None:
        for request in many:
            requests.add(request)

    await asyncio.to_thread(send)
    await ended(*many)
    assert app.answered == [request.scope.path for request in many]


async def test_requests_that_come_while_others_are_answered_keep_nobody_else_waiting() -> None:
    """Whoever asks again and again must not keep the loop for himself."""
    app = App()
    requests = Requests(asyncio.get_running_loop(), app)
    turns = 0

    class Insistent(Request):
        def done(self) -> None:
            if turns < 10:
                requests.add(Insistent(Scope("/soon")))
            else:
                last.ended.set()

    last = Request(Scope("/never"))
    requests.add(Insistent(Scope("/soon")))
    while turns < 10:  # ends only if this task has its turns
        turns += 1
        await asyncio.sleep(0)
    await ended(last)


async def test_what_was_answered_a_moment_ago_is_answered_by_the_thread_that_brings_it() -> None:
    app = App()
    requests = Requests(asyncio.get_running_loop(), app)
    request = Request(Scope("/again"))
    thread = threading.Thread(target=requests.add, args=(request,), name="granian's")
    thread.start()
    thread.join()
    assert request.ended.is_set()
    assert app.answered == ["/again on granian's"]


@pytest.mark.parametrize("path", ["/bug", "/bug-again"])
async def test_a_bug_in_haste_leaves_the_request_to_the_application(path: str) -> None:
    app = App()
    app.may_answer.set()
    requests = Requests(asyncio.get_running_loop(), app)
    broken, fine = Request(Scope(path)), Request(Scope("/soon"))
    with capture_logs() as logged:
        requests.add(broken)
        requests.add(fine)
        await ended(broken, fine)
    assert app.answered == ["/soon", path]
    assert broken.error is None
    assert [entry["event"] for entry in logged] == ["unexpected error"]


@pytest.mark.parametrize("path", ["/bug-later"])
async def test_a_bug_ends_its_own_request_and_no_other(path: str) -> None:
    app = App()
    requests = Requests(asyncio.get_running_loop(), app)
    broken, fine = Request(Scope(path)), Request(Scope("/soon"))
    requests.add(broken)
    requests.add(fine)
    with capture_logs():
        await ended(broken, fine)
    assert isinstance(broken.error, RuntimeError)
    assert fine.error is None
