"""A drain in Redis: it survives processes, is confirmed by dispatchers, and ends once."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from threading import Thread

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.contract.own_redis import OwnRedis
from tests.contract.redis.layout_processes import Run
from tests.contract.redis.layout_processes import environment as environment  # noqa: PLC0414 -- a fixture
from tests.contract.redis.layout_processes import wildtag as wildtag  # noqa: PLC0414 -- a fixture
from tests.eventually import eventually, eventually_while
from workers.dispatch.drained import SAY_EVERY_S, Drained
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.redis.connection import Client
from workers.redis.drain import Drain
from workers.redis.heartbeats import FRESH_S, Health, ProcessNote, mixed_releases
from workers.redis.keys import Keys
from workers.redis.layout import Layout


def test_it_is_in_force_until_it_is_ended_and_confirmed_anew_each_time(client: Client, keys: Keys) -> None:
    drain = Drain(client, keys, lambda: 100.0)
    assert drain.read() is None
    assert not drain.end()
    first = drain.begin()
    drain.confirm(first, "host-1")
    known = Drain(client, keys).read()
    assert known is not None
    assert (known.since, set(known.confirmed)) == (100.0, {"host-1"})
    again = Drain(client, keys, lambda: 200.0).begin()
    assert (again.since, set(again.confirmed)) == (
        100.0,
        set(),
    )  # only who hands out nothing changes
    assert drain.end()
    drain.confirm(again, "host-1")  # a late one does not bring it back
    assert drain.read() is None
    assert not client.exists(keys.drain)


def test_a_dispatcher_says_so_again_and_again(client: Client, keys: Keys) -> None:
    now = [0.0]
    drain = Drain(client, keys)
    drained = Drained(drain, "here", lambda: now[0])
    assert not drained()
    drain.begin()
    with capture_logs() as logs:
        for _ in range(2):
            assert drained()
        now[0] += SAY_EVERY_S
        assert drained()
        drain.end()
        assert not drained()
    assert [line["event"] for line in logs] == ["draining", "draining", "drain ended"]


def confirmed_by(client: Client, keys: Keys, count: int) -> bool:
    draining = Drain(client, keys).read()
    return draining is not None and len(draining.confirmed) == count


def test_a_real_dispatcher_hands_out_nothing_also_after_a_restart(
    client: Client, keys: Keys, environment: dict[str, str], wildtag: Run
) -> None:
    Layout(client, keys).require()
    inbox = Inbox(client, keys.inbox)
    begun = Drain(client, keys).begin()
    inbox.append([ObjectEvent("removed", "inbox", "gone.png")])
    for kill in (True, False):
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.cli", "dispatcher"], env=environment, stderr=subprocess.DEVNULL
        )
        try:
            eventually_while(process, partial(confirmed_by, client, keys, 1 if kill else 2), 60)
            assert inbox.length() == 1
            if not kill:
                done = wildtag("drain", "--json")
                assert done.returncode == 0, done.stderr
                assert json.loads(done.stdout)["waiting"] == 1
                assert wildtag("undrain").returncode == 0
                eventually(lambda: inbox.length() == 0, 30)
        finally:
            (process.kill if kill else process.terminate)()
            process.wait(30)
    assert begun.confirmed == frozenset()


def test_a_dispatcher_that_gives_no_sign_is_not_taken_for_gone(client: Client, keys: Keys, wildtag: Run) -> None:
    """It may be suspended, and hands out images when it goes on."""
    Layout(client, keys).require()
    note = ProcessNote(name="dispatcher", host="there", offset=0.0, at=float(client.time()[0]) - 60)
    client.hset(keys.processes, "dispatcher there-7", msgspec.msgpack.encode(note))
    done = wildtag("drain", "--json")
    assert done.returncode == 1
    body = json.loads(done.stdout)
    assert (body["drained"], [one["host"] for one in body["silent_dispatchers"]]) == (False, ["there"])
    done = wildtag("drain")
    assert done.returncode == 1
    assert "Not drained for certain: a dispatcher on there has given no sign" in " ".join(done.stderr.split())
    assert wildtag("drain", "--ignore-silent").returncode == 0
    draining = Drain(client, keys).begin()
    Drain(client, keys).confirm(draining, "there-7")  # then it hands out nothing when it goes on
    assert wildtag("drain").returncode == 0
    client.delete(keys.drain)
    long_ago = msgspec.structs.replace(note, at=note.at - FRESH_S)
    client.hset(keys.processes, "dispatcher there-7", msgspec.msgpack.encode(long_ago))
    assert wildtag("drain").returncode == 0


def test_what_does_not_finish_is_named(client: Client, keys: Keys, wildtag: Run) -> None:
    Layout(client, keys).require()
    client.zadd(keys.ledger, {"inbox/stuck.png": 2e9})
    client.hset(keys.entry("inbox/stuck.png"), mapping={
        "stage": "embedding", "attempts": 3, "accepted_at": 1.0, "fault": "the store is away"
    })  # fmt: skip
    done = wildtag("drain", "--timeout", "0.5")
    assert done.returncode == 1
    assert "inbox/stuck.png embedding, 3 attempts: the store is away" in " ".join(done.stderr.split())
    assert "still in force" in done.stderr
    assert Drain(client, keys).read() is not None
    done = wildtag("drain", "--timeout", "0.5", "--give-up", "--json")
    assert done.returncode == 1
    body = json.loads(done.stdout)
    assert (body["in_force"], body["unfinished"][0]["id"]) == (False, "inbox/stuck.png")
    assert Drain(client, keys).read() is None


def test_the_confirmation_of_one_that_is_gone_is_not_that_of_another(
    client: Client, keys: Keys, wildtag: Run
) -> None:
    Layout(client, keys).require()
    now = float(client.time()[0])
    for service, ago in (("killed", 100.0), ("hung", 5.0)):
        Health(client, keys, partial(float, now - ago), process=service).beat("dispatcher")
    drain = Drain(client, keys)
    command = Thread(target=lambda: done.append(wildtag("drain", "--timeout", "6")))
    done: list[subprocess.CompletedProcess[str]] = []
    command.start()
    draining = eventually(drain.read, 5)
    assert draining is not None
    drain.confirm(draining, "killed")
    command.join()
    assert done[0].returncode == 1
    said = " ".join(done[0].stderr.split())
    assert "waiting for 1 dispatcher: busy, or ended within 30 s" in said
    assert "1 dispatcher did not answer within 6 s." in said
    assert "images were not finished" not in said


def test_a_restart_of_redis_does_not_end_the_wait(environment: dict[str, str], keys: Keys) -> None:
    own = OwnRedis()
    try:
        client = own.start()
        Layout(client, keys).require()
        client.zadd(keys.ledger, {"inbox/slow.png": 2e9})
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.cli", "drain"], env={**environment, "WILDTAG_REDIS_URL": own.url},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        assert "1 in progress" in process.stderr.readline()
        own.kill()
        assert "waiting for it" in process.stderr.readline()
        own.start().delete(keys.ledger)
        said, faults = process.communicate(timeout=30)
        assert process.returncode == 0, faults
        assert "Drained: nothing is in progress" in said
    finally:
        own.close()


RELEASE = "import importlib.metadata as m, runpy, sys; m.version = lambda _: {0!r}; sys.argv[1:] = ['dispatcher']; \
runpy.run_module('workers.cli', run_name='__main__', alter_sys=True)"


def test_two_releases_beside_each_other_are_named(
    client: Client, keys: Keys, environment: dict[str, str], wildtag: Run
) -> None:
    """Two real processes of one layout, as during a rolling update."""
    processes = [
        subprocess.Popen([sys.executable, "-c", RELEASE.format(release)], env=environment, stderr=subprocess.DEVNULL)
        for release in ("7.0.0", "7.1.0")
    ]
    health = Health(client, keys, lambda: float(client.time()[0]))
    try:
        eventually(lambda: {note.release for note in health.processes()} == {"7.0.0", "7.1.0"}, 60)
        expected = "two releases of wildtag are running: 7.0.0 (dispatcher); 7.1.0 (dispatcher)"
        assert mixed_releases(health.processes()) == expected
        assert expected in " ".join(wildtag("status").stderr.split())
        checks = [json.loads(line) for line in wildtag("doctor", "--json").stdout.splitlines()]
        (said,) = [check for check in checks if check["name"] == "releases"]
        assert (said["ok"], said["detail"]) == (None, expected)
    finally:
        for process in processes:
            process.terminate()
            process.wait(30)


TWO = "two releases of wildtag are running: 1 (x); an older one (x)"


@pytest.mark.parametrize(
    ("releases", "said"), [((), None), (("1",), None), (("1", "1"), None), (("1", ""), TWO)]
)  # fmt: skip
def test_one_release_is_not_named(releases: tuple[str, ...], said: str | None) -> None:
    notes = [ProcessNote(name="x", host="h", offset=0.0, at=0.0, release=one) for one in releases]
    assert mixed_releases(notes) == said
