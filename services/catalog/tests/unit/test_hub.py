"""What waits for a client: little, in order, and the latest of each video."""

from dataclasses import replace
from uuid import UUID

from reelay.catalog.live.hub import MAX_PENDING, Hub, Subscriber, missed
from reelay.catalog.live.log import Change, ChangeKind
from reelay.catalog.videos.visibility import Visibility
from reelay.common.database import Database
from reelay.common.tokens import Identity

VIEWERS = {
    "nobody": None,
    "bob": Identity("bob", frozenset({"publish"})),
    "ann": Identity("ann", frozenset({"publish"})),
    "root": Identity("root", frozenset({"admin"})),
}


def change(revision: int, video: int) -> Change:
    return Change(revision, UUID(int=video), ChangeKind.VIDEO, f'{{"revision": {revision}}}')


def taken(subscriber: Subscriber) -> list[int]:
    revisions = []
    while (next_change := subscriber.take()) is not None:
        revisions.append(next_change.revision)
    return revisions


def test_changes_are_taken_in_their_order() -> None:
    subscriber = Subscriber(None, 0)
    for revision in (1, 2, 3):
        subscriber.offer(change(revision, revision))
    assert taken(subscriber) == [1, 2, 3]


def test_latest_change_of_a_video_replaces_older_ones() -> None:
    subscriber = Subscriber(None, 0)
    for revision, video in ((1, 1), (2, 2), (3, 1)):
        subscriber.offer(change(revision, video))
    assert taken(subscriber) == [2, 3]


def test_filter_lets_one_video_through() -> None:
    subscriber = Subscriber(UUID(int=2), 0)
    for revision, video in ((1, 1), (2, 2), (3, 3)):
        subscriber.offer(change(revision, video))
    assert taken(subscriber) == [2]


def test_change_that_was_seen_already_is_dropped() -> None:
    subscriber = Subscriber(None, 5)
    subscriber.offer(change(5, 1))
    subscriber.offer(change(6, 2))
    assert taken(subscriber) == [6]


async def test_client_that_is_too_slow_catches_up_from_the_table() -> None:
    subscriber = Subscriber(None, 0)
    count = MAX_PENDING + 10
    table = [change(revision, revision) for revision in range(1, count + 1)]
    for entry in table:
        subscriber.offer(entry)
    assert subscriber.behind

    async def read(after: int, _: int, limit: int) -> list[Change]:
        return [entry for entry in table if entry.revision > after][:limit]

    seen = [entry.revision async for entry in missed(subscriber, read)]
    assert seen == list(range(1, count + 1))
    assert taken(subscriber) == []
    assert not subscriber.behind


async def test_waiting_ends_with_news_with_time_and_with_the_end() -> None:
    subscriber = Subscriber(None, 0)
    assert not await subscriber.wait(0.01)
    subscriber.offer(change(1, 1))
    assert await subscriber.wait(10)
    taken(subscriber)
    subscriber.close()
    assert await subscriber.wait(10)


def told(subscriber: Subscriber) -> list[tuple[int, str]]:
    taken = []
    while (change := subscriber.take()) is not None:
        taken.append((change.revision, str(change.kind)))
    return taken


def test_private_video_is_told_to_its_owner_and_administrators_alone() -> None:
    private = replace(change(1, 1), owner_id="ann", visibility=Visibility.PRIVATE)
    seen = {}
    for name, viewer in VIEWERS.items():
        subscriber = Subscriber(None, 0, viewer)
        subscriber.offer(private)
        seen[name] = told(subscriber)
    assert seen == {"nobody": [], "bob": [], "ann": [(1, "video")], "root": [(1, "video")]}


def test_unlisted_video_is_told_to_those_who_ask_for_it() -> None:
    unlisted = replace(change(1, 1), owner_id="ann", visibility=Visibility.UNLISTED)
    asking, browsing = Subscriber(UUID(int=1), 0), Subscriber(None, 0)
    for subscriber in (asking, browsing):
        subscriber.offer(unlisted)
    assert (told(asking), told(browsing)) == ([(1, "video")], [])


def test_video_that_is_withdrawn_is_gone_for_others_whatever_follows() -> None:
    withdrawn = replace(change(2, 1), owner_id="ann", visibility=Visibility.PRIVATE, withdrawn=True)
    later = replace(withdrawn, revision=3, withdrawn=False)
    ann, other = Subscriber(None, 0, VIEWERS["ann"]), Subscriber(None, 0)
    for subscriber in (ann, other):
        for entry in (change(1, 1), withdrawn, later):
            subscriber.offer(entry)
    assert told(ann) == [(3, "video")]
    assert told(other) == [(2, "deleted")]


def test_listener_to_a_video_that_becomes_private_is_told_that_it_is_gone() -> None:
    listener = Subscriber(UUID(int=1), 0)
    listener.offer(replace(change(1, 1), owner_id="ann", visibility=Visibility.PRIVATE))
    assert told(listener) == [(1, "deleted")]


def test_nothing_of_a_private_video_is_in_what_others_are_told() -> None:
    listener = Subscriber(UUID(int=1), 0)
    secret = Change(1, UUID(int=1), ChangeKind.VIDEO, '{"title": "secret"}', "ann", "private", True)
    listener.offer(secret)
    gone = listener.take()
    assert gone is not None
    assert "secret" not in gone.body


def hub() -> Hub:
    """Return a hub that has nobody to ask: what it passes on was told to it."""
    return Hub(Database("postgresql://nobody@127.0.0.1:1/none"))


async def test_change_committed_here_is_passed_on_without_asking_the_table() -> None:
    here = hub()
    with here.subscribe(None) as subscriber:
        here.tell([change(1, 1), change(2, 2)])
        here.tell([change(3, 1)])
        assert taken(subscriber) == [2, 3]


async def test_change_behind_one_of_another_replica_waits_for_the_table() -> None:
    here = hub()
    with here.subscribe(None) as subscriber:
        here.tell([change(2, 1)])
        assert taken(subscriber) == []
        here.tell([change(1, 2)])
        assert taken(subscriber) == [1]


async def test_change_told_twice_is_passed_on_once() -> None:
    here = hub()
    with here.subscribe(None) as subscriber:
        here.tell([change(1, 1)])
        here.tell([change(1, 1)])
        assert taken(subscriber) == [1]
