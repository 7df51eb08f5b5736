"""What is to be tagged again is bounded: an object waits once, the others wait behind it, and none is lost."""

from __future__ import annotations

import threading

import pytest

from workers.images.backlog import AHEAD, LOOKED_AT, PAGE, Backlog
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import LowPriorityInbox
from workers.redis.connection import Client
from workers.redis.keys import Keys


@pytest.fixture
def inbox(client: Client, keys: Keys) -> LowPriorityInbox:
    made = LowPriorityInbox(client, keys)
    made.prepare()
    return made


@pytest.fixture
def backlog(client: Client, keys: Keys, inbox: LowPriorityInbox) -> Backlog:
    return Backlog(client, keys, inbox)


def again(*names: str) -> list[ObjectEvent]:
    return [ObjectEvent("created", "inbox", name, force=True) for name in names]


def test_an_object_waits_once_until_it_is_read(inbox: LowPriorityInbox) -> None:
    inbox.append(again("a", "b", "a"))
    inbox.append(again("b", "c"))
    read = inbox.read("me", 2, None)
    assert [event.key for _, event in read] == ["a", "b"]
    inbox.append(again("a", "c"))  # what is read may have been begun before the reason for this
    assert [event.key for _, event in inbox.read("me", 10, None)] == ["c", "a"]
    assert inbox.length() == 4


def test_an_object_whose_reader_was_killed_can_wait_again(
    client: Client, keys: Keys, inbox: LowPriorityInbox
) -> None:
    inbox.append(again("a"))
    client.xreadgroup("dispatcher", "killed", {keys.low_priority_inbox: ">"})  # and nothing else was done
    inbox.append(again("a"))
    assert inbox.length() == 1
    assert [event.key for _, event in inbox.recover("me", 0, 10)] == ["a"]
    inbox.append(again("a"))
    assert [event.key for _, event in inbox.read("me", 10, None)] == ["a"]


def test_an_entry_that_cannot_be_decoded_keeps_no_object_out(
    client: Client, keys: Keys, inbox: LowPriorityInbox
) -> None:
    client.xadd(keys.low_priority_inbox, {"event": b"\xc1"})
    client.hset(keys.low_priority_once, "inbox/a", 1)
    assert inbox.read("me", 10, None) == []
    inbox.append(again("a"))
    assert inbox.length() == 1


def test_events_that_are_not_forced_do_not_take_the_place_of_those_that_are(inbox: LowPriorityInbox) -> None:
    inbox.append([ObjectEvent("created", "inbox", "a")])
    inbox.append(again("a"))
    assert [event.force for _, event in inbox.read("me", 10, None)] == [False, True]


def test_a_whole_archive_waits_in_pages_and_all_of_it_comes_through(
    inbox: LowPriorityInbox, backlog: Backlog
) -> None:
    oids = [f"inbox/some folder/{n:05}.jpg" for n in range(20 * AHEAD)]
    for _ in range(2):  # two captions concern all of it
        backlog.add(oids)
    assert backlog.waiting() == 2 * len(oids) - LOOKED_AT * PAGE
    seen: list[str] = []
    longest = steps = 0
    while backlog.waiting() or inbox.length():
        backlog.step()
        longest = max(longest, inbox.length())
        if backlog.waiting() == 0 or inbox.length() >= AHEAD:
            events = inbox.read("me", 300, None)
            seen += [event.id for _, event in events]
            inbox.done([entry for entry, _ in events])
        steps += 1
        assert steps < 10_000
    assert longest <= AHEAD + PAGE
    assert sorted(set(seen)) == oids
    assert backlog.step() == 0


def test_the_backlog_takes_little_memory(client: Client, keys: Keys, backlog: Backlog) -> None:
    backlog.add([f"inbox/2024/holidays/IMG_{n:06}.jpg" for n in range(100_000)])
    pages = client.lrange(keys.backlog, 0, -1)
    assert sum(map(len, pages)) < 1_500_000  # 15 bytes an object


def test_many_examples_queue_each_object_once(inbox: LowPriorityInbox, backlog: Backlog) -> None:
    near = [f"inbox/{n}.jpg" for n in range(1000)]
    for _ in range(30):  # people name thirty images of one series
        backlog.add(near)
    while backlog.step():
        pass
    assert inbox.length() == len(near)


def test_several_dispatchers_move_each_page_once_and_lose_none(
    client: Client, keys: Keys, inbox: LowPriorityInbox, backlog: Backlog
) -> None:
    oids = [f"inbox/{number}.jpg" for number in range(6 * PAGE)]
    backlog.add(oids)
    seen: list[str] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        own = Backlog(client, keys, LowPriorityInbox(client, keys))
        while own.waiting() or inbox.length():
            own.step()
            events = inbox.read(name, 200, None)
            inbox.done([entry for entry, _ in events])
            with lock:
                seen.extend(event.id for _, event in events)

    threads = [threading.Thread(target=work, args=(f"dispatcher {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted(oids)
    assert client.llen(keys.backlog) == 0


def test_a_page_that_another_dispatcher_has_moved_takes_no_other_page_with_it(
    client: Client, keys: Keys, inbox: LowPriorityInbox, backlog: Backlog
) -> None:
    """The one whose lock has expired goes on where it was."""
    oids = [f"inbox/{number}.jpg" for number in range(2 * PAGE)]
    backlog.add(oids)
    append = inbox.append

    def slow(events: list[ObjectEvent], *, mark: bool = False) -> None:
        inbox.append = append  # type: ignore[method-assign]  # once
        client.delete(keys.lock("backlog"))
        Backlog(client, keys, LowPriorityInbox(client, keys)).step()
        append(events, mark=mark)

    inbox.append = slow  # type: ignore[method-assign,assignment]  # as above
    backlog.step()
    assert (backlog.waiting(), client.llen(keys.backlog)) == (PAGE, 1)
    backlog.step()
    assert sorted({event.id for _, event in inbox.read("me", 10_000, None)}) == sorted(oids)


def test_an_object_that_is_read_may_wait_again(inbox: LowPriorityInbox, backlog: Backlog) -> None:
    """It may have been begun before there was another reason."""
    backlog.add(["inbox/a"])
    backlog.add(["inbox/a"])  # the first page may be on its way
    assert backlog.waiting() == 2
    backlog.add(["inbox/a", "inbox/b"])
    assert backlog.waiting() == 3
    while backlog.step():
        pass
    assert [event.key for _, event in inbox.read("me", 10, None)] == ["a", "b"]
    backlog.add(["inbox/a"])
    backlog.step()
    assert [event.key for _, event in inbox.read("me", 10, None)] == ["a"]
