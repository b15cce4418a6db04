"""Who may have what of a package, with a hand-written broker, store and signer."""

from typing import ClassVar

import pytest

from reelay.common.content_access import Grant
from reelay.common.errors import NotFoundError
from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.access import (
    ANY_TOKEN,
    CLOSED,
    Restriction,
    Restrictions,
    stricter,
)
from reelay.content_api.handlers.admission import Admission, LinkExpiredError

PACKAGE, OTHER = "a" * 64, "b" * 64
FILM, SECOND = "film", "second"
NOW_S = 1000.0


class KnownMarks:
    """A store with marks."""

    def __init__(self) -> None:
        self.marks: dict[str, Restriction] = {}
        self.is_away = False
        self.asked = 0

    def known_open(self, package_id: str) -> bool:
        return False

    async def restriction(self, package_id: str) -> Restriction | None:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailableError
        return self.marks.get(package_id)


class KnownTokens:
    """Tokens by name."""

    grants: ClassVar = {
        "good": Grant(PACKAGE, FILM, NOW_S + 1),
        "second": Grant(PACKAGE, SECOND, NOW_S + 1),
        "old": Grant(PACKAGE, FILM, NOW_S),
        "other": Grant(OTHER, FILM, NOW_S + 1),
    }

    async def grant(self, token: str) -> Grant | None:
        return self.grants.get(token)


@pytest.fixture
def broker() -> Restrictions:
    restrictions = Restrictions()
    restrictions.replace({})
    restrictions.current = True
    return restrictions


@pytest.fixture
def marks() -> KnownMarks:
    return KnownMarks()


@pytest.fixture
def admission(broker: Restrictions, marks: KnownMarks) -> Admission:
    return Admission(broker, marks, KnownTokens(), now=lambda: NOW_S)


TOKENS = (None, "good", "second", "old", "other", "forged")
EVERYBODY: dict[str | None, str] = dict.fromkeys(TOKENS, "in")
NOBODY: dict[str | None, str] = dict.fromkeys(TOKENS, "missing")


async def verdicts(admission: Admission) -> dict[str | None, str]:
    """Return what becomes of requests with each token."""
    found: dict[str | None, str] = {}
    for token in TOKENS:
        try:
            await admission.admit(PACKAGE, token)
            found[token] = "in"
        except NotFoundError:
            found[token] = "missing"
        except LinkExpiredError:
            found[token] = "expired"
    return found


async def test_open_package_is_for_all_whatever_token_they_have(
    admission: Admission, marks: KnownMarks
) -> None:
    assert admission.is_open(PACKAGE)
    assert await verdicts(admission) == EVERYBODY
    assert marks.asked == 0


async def test_restricted_package_is_for_tokens_of_its_videos(
    admission: Admission, broker: Restrictions
) -> None:
    broker.note(PACKAGE, Restriction(frozenset({FILM})))
    assert not admission.is_open(PACKAGE)
    assert admission.is_open(OTHER)
    assert await verdicts(admission) == {**NOBODY, "good": "in", "old": "expired"}


async def test_token_of_a_video_that_is_gone_is_good_for_nothing(
    admission: Admission, broker: Restrictions
) -> None:
    broker.note(PACKAGE, Restriction(frozenset({SECOND})))
    assert await verdicts(admission) == {**NOBODY, "second": "in"}


async def test_closed_package_is_for_nobody(admission: Admission, broker: Restrictions) -> None:
    broker.note(PACKAGE, CLOSED)
    assert await verdicts(admission) == NOBODY
    broker.note(PACKAGE, None)
    assert await verdicts(admission) == EVERYBODY


async def test_without_the_broker_the_marks_decide(
    admission: Admission, broker: Restrictions, marks: KnownMarks
) -> None:
    broker.current = False
    assert not admission.is_open(PACKAGE)
    assert await verdicts(admission) == EVERYBODY
    marks.marks[PACKAGE] = ANY_TOKEN
    tokens = {"good": "in", "second": "in", "old": "expired"}
    assert await verdicts(admission) == {**NOBODY, **tokens}
    marks.marks[PACKAGE] = CLOSED
    assert await verdicts(admission) == NOBODY


async def test_what_the_broker_said_last_holds_while_it_is_away(
    admission: Admission, broker: Restrictions, marks: KnownMarks
) -> None:
    broker.note(PACKAGE, Restriction(frozenset({FILM})))
    broker.current = False
    assert await verdicts(admission) == {**NOBODY, "good": "in", "old": "expired"}
    marks.marks[PACKAGE] = CLOSED
    assert await verdicts(admission) == NOBODY


async def test_nothing_is_open_when_nobody_can_be_asked(
    admission: Admission, broker: Restrictions, marks: KnownMarks
) -> None:
    broker.current, marks.is_away = False, True
    assert not admission.is_open(PACKAGE)
    with pytest.raises(StoreUnavailableError):
        await admission.admit(PACKAGE, "good")


async def test_what_was_known_last_holds_when_nobody_can_be_asked_any_more(
    admission: Admission, broker: Restrictions, marks: KnownMarks
) -> None:
    broker.note(OTHER, CLOSED)
    broker.current, broker.were_current, marks.is_away = False, True, True
    assert await verdicts(admission) == EVERYBODY
    broker.note(PACKAGE, Restriction(frozenset({FILM})))
    assert await verdicts(admission) == {**NOBODY, "good": "in", "old": "expired"}
    with pytest.raises(NotFoundError):
        await admission.admit(OTHER, "other")


def test_stricter_of_two_restrictions_holds() -> None:
    some = Restriction(frozenset({FILM}))
    assert stricter(None, None) is None
    assert stricter(some, None) == stricter(None, some) == stricter(some, ANY_TOKEN) == some
    assert stricter(some, CLOSED) == stricter(CLOSED, None) == stricter(None, CLOSED) == CLOSED


def test_reading_all_anew_tells_which_packages_are_news() -> None:
    restrictions = Restrictions()
    assert restrictions.replace({PACKAGE: CLOSED, OTHER: ANY_TOKEN}) == [PACKAGE, OTHER]
    assert restrictions.replace({PACKAGE: CLOSED, OTHER: CLOSED}) == [OTHER]
    assert restrictions.replace({}) == []
    assert restrictions.get(PACKAGE) is None
