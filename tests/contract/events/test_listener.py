"""Listening: each line is stored, each connection is caught up with, and minio's client does what it is taken to."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.events.listen_lines import line
from tests.eventually import eventually
from tests.unit.events.samples import BUCKET
from vectordb.errors import Permanent, Transient
from workers.dispatch.removals import Holds
from workers.dispatch.sweeper import Sweeper
from workers.events.listen_api import Dropped
from workers.events.listener import Listener, lines
from workers.events.notification import LARGEST
from workers.events.sink import EventSink
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.record_reader import PAGE, Records
from workers.processes.listener import run_listener
from workers.redis.connection import Client
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.redis.layout import Layout
from workers.settings.settings import Settings
from workers.stores.folder import FolderStore

Script = list[Callable[[], Iterable[bytes]]]


class Scripted:
    """A server: each connection is a list of what it sends; after the last it stops the listener."""

    def __init__(self, connections: Script) -> None:
        self.stop = threading.Event()
        self._left = list(connections)

    @contextmanager
    def __call__(self) -> Iterator[Iterable[bytes]]:
        if not self._left:
            self.stop.set()
            yield [b" "]
            return
        yield self._left.pop(0)()


def ends(error: Exception, *sent: bytes) -> Callable[[], Iterable[bytes]]:
    def connection() -> Iterator[bytes]:
        yield from sent
        raise error

    return connection


@pytest.fixture
def event_sink(client: Client, keys: Keys) -> EventSink:
    return EventSink(client, keys)


@pytest.fixture
def inbox(client: Client, keys: Keys) -> Inbox:
    Layout(client, keys).require()
    made = Inbox(client, keys.inbox)
    made.prepare()
    return made


def inbox_keys(inbox: Inbox) -> list[str]:
    return [event.key for _, event in inbox.read("me", 1000, 1)]


def test_what_is_heard_is_stored_and_every_connection_caught_up_with(event_sink: EventSink, inbox: Inbox) -> None:
    caught_up = threading.Semaphore(0)

    def after_a_look() -> Iterator[bytes]:
        """Sends only when the bucket was looked at: so that every connection has its own look."""
        assert caught_up.acquire(timeout=20)
        yield line("été 2026/a+b.jpg")
        yield b'{"Records":null}\n'

    def dropped() -> Iterator[bytes]:
        assert caught_up.acquire(timeout=20)
        yield line("b.jpg")[:50]
        yield line("b.jpg")[50:] + b"  "
        raise Dropped("cut")

    server = Scripted([after_a_look, dropped, ends(Dropped("at once"))])
    beats: list[float] = []

    def catch_up(*, connected: bool) -> bool:
        assert connected
        caught_up.release()
        return True

    Listener(server, BUCKET, event_sink, catch_up, lambda: beats.append(0), 0.001).follow(server.stop)
    assert inbox_keys(inbox) == ["été 2026/a+b.jpg", "b.jpg"]
    assert len(beats) >= 4
    assert event_sink.counts() == {"listen:events": 2}


def test_a_look_that_fails_is_taken_again_while_listening_goes_on(event_sink: EventSink, inbox: Inbox) -> None:
    looks: list[bool] = []
    seen = threading.Event()

    def catch_up(*, connected: bool) -> bool:
        looks.append(connected)
        if len(looks) < 3:
            raise Transient("the store is away")
        if len(looks) == 5:
            seen.set()
        return len(looks) == 5

    def connection() -> Iterator[bytes]:
        yield line("heard meanwhile.jpg")
        assert seen.wait(20)

    server = Scripted([connection])
    Listener(server, BUCKET, event_sink, catch_up, first_pause=0.001).follow(server.stop)
    assert inbox_keys(inbox) == ["heard meanwhile.jpg"]
    assert looks[:5] == [True, False, False, False, False]  # of one connection


def test_a_blip_while_the_bucket_is_swept_misses_nothing_of_what_was_seen_before(
    event_sink: EventSink, inbox: Inbox, client: Client, keys: Keys, tmp_path: Path
) -> None:
    for number in range(3 * PAGE):
        (tmp_path / f"{number:05}.jpg").write_bytes(b"x")
    store, records = FolderStore({BUCKET: tmp_path}), Records(client, keys)
    sweeper = Sweeper(store, BUCKET, records, inbox, client, keys, Holds(client, keys), resume=False)
    done, connections = threading.Event(), [0]

    def catch_up(*, connected: bool) -> bool:
        if connected:
            sweeper.rescan()
        if not sweeper.step(0):  # a page
            return False
        if connections[0] == 2:
            done.set()
        return True

    def breaks() -> Iterator[bytes]:
        eventually(lambda: sweeper.progress.seen >= PAGE)
        yield b" "
        (tmp_path / "00000 unheard.jpg").write_bytes(b"x")
        connections[0] = 2
        raise Dropped("cut")

    def lasts() -> Iterator[bytes]:
        while not done.wait(0.01):
            yield b" "

    server = Scripted([breaks, lasts])
    Listener(server, BUCKET, event_sink, catch_up, first_pause=0.001).follow(server.stop)
    heard = [event.key for _, event in inbox.read("me", 10_000, 1)]
    assert set(heard) == {path.name for path in tmp_path.iterdir()}


def test_a_fault_in_the_look_ends_the_listener(event_sink: EventSink) -> None:
    def catch_up(*, connected: bool) -> bool:
        raise KeyError(f"a bug {connected}")

    stop = threading.Event()

    @contextmanager
    def connect() -> Iterator[Iterable[bytes]]:
        yield (b" " for _ in iter(lambda: stop.wait(0.01), None))

    with pytest.raises(KeyError):
        Listener(connect, BUCKET, event_sink, catch_up).follow(stop)


def test_junk_is_set_aside(event_sink: EventSink, inbox: Inbox) -> None:
    server = Scripted([lambda: [b"nonsense\n", b"\xff\n", line("good")]])
    Listener(server, BUCKET, event_sink, lambda *, connected: connected, first_pause=0.001).follow(server.stop)
    assert inbox_keys(inbox) == ["good"]
    assert [aside.rejected.body for aside in event_sink.rejected()] == [b"\xff", b"nonsense"]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=12)), st.data())
def test_lines_do_not_depend_on_how_they_are_cut(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(parts) + b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert [x.strip() for x in lines(chunks) if x.strip()] == [x.strip() for x in whole.split(b"\n") if x.strip()]


def test_a_line_without_an_end_takes_no_memory() -> None:
    endless = [b"x" * 65_536] * 100 + [b"\n" + line("next")]
    found = [x for x in lines(endless) if x]
    assert len(found) == 2
    assert LARGEST < len(found[0]) < 2 * LARGEST
    assert found[1] == line("next").strip()
    assert not any(lines([b" "] * 1000))


SILENT = """
import contextlib, sys, time
from workers.processes.listener import run_listener
from workers.settings.settings import Settings
from workers.stores.folder import FolderStore

@contextlib.contextmanager
def connect():
    def chunks():
        yield b" "
        time.sleep(600)
    yield chunks()

run_listener(Settings(), connect)
"""


def test_a_process_sweeps_and_stops_though_the_server_is_silent(
    redis_url: str, client: Client, keys: Keys, inbox: Inbox, tmp_path: Path
) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "before.jpg").write_bytes(b"x")
    settings = Settings(home=tmp_path, redis_url=redis_url, key_prefix=keys.prefix, bucket=BUCKET)
    process = subprocess.Popen([sys.executable, "-c", SILENT], env=settings.process_environment())
    try:
        eventually(lambda: inbox.length() == 1)
        eventually(lambda: "listener" in Health(client, keys, time.time).beats())
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait(60)
    assert inbox_keys(inbox) == ["before.jpg"]


def test_a_folder_has_nothing_to_listen_to(redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="wildtag watcher"):
        run_listener(Settings(home=tmp_path, redis_url=redis_url))
