"""Batches: objects tagged and counted together, by keys, by a prefix, or as uploads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.gateway.running import Json, Running, problem, running, wired
from tests.eventually import eventually
from workers.lifecycle.inbox import EventInbox
from workers.redis.connection import Client

PARTITIONS = (1, 3)


def begun(gateway: Running, **wanted: object) -> Json:
    answer = gateway.http.post("/v1/batches", json=wanted)
    assert answer.status_code == 202, answer.text
    body: Json = answer.json()
    assert answer.headers["location"] == f"/v1/batches/{body['id']}"
    return body


def stands(gateway: Running, batch: Json, **params: object) -> Json:
    answer = gateway.http.get(f"/v1/batches/{batch['id']}", params=params)  # type: ignore[arg-type]  # numbers and texts
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def dispatch(gateway: Running, inbox: EventInbox, *, count: int = 10_000) -> list[str]:
    """Play the dispatcher: read the events and accept existing objects. Returns their keys."""
    inbox.prepare()
    read = inbox.read("test", count, None)
    for _, event in read:
        info = gateway.wiring.store.stat(event.bucket, event.key)
        known = gateway.wiring.records.get([event.id])[0]
        if info is not None and (known is None or event.force):
            gateway.enter(info.ref, force=event.force)
    inbox.done([entry for entry, _ in read])
    return [event.key for _, event in read]


def finish(gateway: Running, *keys: str, error: str | None = None) -> None:
    for key in keys:
        gateway.finish(gateway.wiring.store.stat("inbox", key).ref, error=error)  # type: ignore[union-attr]  # it is there


def test_a_batch_of_keys_is_counted_until_all_are_at_their_end(gateway: Running) -> None:
    for key in ("a b.png", "b.png", "写真.png"):
        gateway.put(key)
    batch = begun(gateway, keys=["a b.png", "b.png", "写真.png", "b.png", "never.png"])
    assert (batch["total"], batch["complete"], batch["finished"]) == (4, True, False)
    assert batch["counts"] == {"queued": 4}  # nobody has looked at them yet
    assert stands(gateway, batch)["counts"] == {"queued": 4}
    assert sorted(dispatch(gateway, gateway.wiring.inbox)) == sorted(["a b.png", "b.png", "写真.png", "never.png"])
    assert stands(gateway, batch)["counts"] == {"queued": 3, "gone": 1}
    gateway.advance(gateway.wiring.store.stat("inbox", "b.png").ref, "scoring")  # type: ignore[union-attr]  # it is there
    assert stands(gateway, batch)["counts"] == {"queued": 2, "scoring": 1, "gone": 1}
    finish(gateway, "a b.png", "b.png")
    finish(gateway, "写真.png", error="unreadable")
    end = stands(gateway, batch)
    assert end["finished"]
    assert end["counts"] == {"done": 2, "failed": 1, "gone": 1}
    assert [(failure["key"], failure["state"], failure["error"]["code"]) for failure in end["failures"]] == [
        ("never.png", "gone", "gone"), ("写真.png", "failed", "unreadable"),
    ]  # fmt: skip
    assert stands(gateway, batch) == end


def test_what_is_tagged_already_counts_at_once(gateway: Running) -> None:
    gateway.tagged("a.png", "cat")
    batch = begun(gateway, keys=["a.png"])
    dispatch(gateway, gateway.wiring.inbox)
    end = stands(gateway, batch)
    assert (end["finished"], end["counts"]) == (True, {"done": 1})


def test_a_forced_batch_waits_for_new_records(gateway: Running) -> None:
    gateway.tagged("a.png", "cat")
    batch = begun(gateway, keys=["a.png"], force=True)
    assert stands(gateway, batch)["counts"] == {"queued": 1}
    dispatch(gateway, gateway.wiring.inbox)
    assert stands(gateway, batch)["counts"] == {"queued": 1}
    finish(gateway, "a.png")
    assert stands(gateway, batch)["counts"] == {"done": 1}


def test_uploads_are_a_batch(gateway: Running) -> None:
    names = [gateway.upload()["id"] for _ in range(3)]
    batch = begun(gateway, uploads=[*names, "0" * 32])
    # a partition in which no events wait knows at once that there is no such upload
    assert batch["counts"] in ({"queued": 4}, {"queued": 3, "gone": 1})
    assert len(dispatch(gateway, gateway.wiring.inbox)) == 3  # their events are not added twice
    finish(gateway, *(f"uploads/{name}" for name in names))
    assert stands(gateway, batch)["counts"] == {"done": 3, "gone": 1}
    wrong = gateway.http.post("/v1/batches", json={"uploads": ["../x"]})
    assert (wrong.status_code, problem(wrong)) == (404, "not-found")


def test_a_batch_of_a_prefix_is_listed_in_pages_and_leaves_room(gateway: Running, client: Client) -> None:
    """What is listed waits behind everything that is new, and never much of it at once."""
    (gateway.folder / "many").mkdir()
    for number in range(1700):
        (gateway.folder / "many" / f"{number:04}.png").touch()
    gateway.put("elsewhere.png")
    later = gateway.wiring.low_priority_inbox
    batch = begun(gateway, prefix="many/")
    eventually(lambda: later.length() >= 1000)
    assert later.length() == 1000
    assert not stands(gateway, batch)["complete"]
    keys: list[str] = []

    def complete() -> bool:
        keys.extend(dispatch(gateway, later))
        return bool(stands(gateway, batch, limit=1)["complete"])

    eventually(complete)
    keys.extend(dispatch(gateway, later))
    assert sorted(keys) == [f"many/{number:04}.png" for number in range(1700)]
    assert stands(gateway, batch)["total"] == 1700
    assert client.smembers(gateway.wiring.keys.batches) == set()


def test_a_batch_goes_on_where_a_killed_gateway_left_it(redis_url: str, client: Client, tmp_path: Path) -> None:
    wiring = wired(tmp_path, redis_url, key_prefix="own:")  # the other gateways here would list it as well
    client.flushall()
    for number in range(1300):
        (tmp_path / "inbox" / f"{number:04}.png").touch()
    with running(wiring) as gateway:
        batch = begun(gateway, prefix="")
        eventually(lambda: wiring.low_priority_inbox.length() == 1000)
    lock = f"own:lock:batch:{batch['id']}"
    eventually(lambda: not client.exists(lock))  # a listing that was under way has ended
    client.set(lock, "the one that was killed", px=300)
    with running(wiring) as gateway:
        dispatched = dispatch(gateway, wiring.low_priority_inbox, count=600)
        eventually(lambda: stands(gateway, batch, limit=1)["complete"])
        dispatched += dispatch(gateway, wiring.low_priority_inbox)
        assert dispatched == [f"{number:04}.png" for number in range(1300)]
        assert stands(gateway, batch)["counts"] == {"queued": 1300}


def test_failures_come_in_pages(gateway: Running) -> None:
    keys = [f"{number}.png" for number in range(5)]
    for key in keys:
        gateway.put(key)
    batch = begun(gateway, keys=keys)
    dispatch(gateway, gateway.wiring.inbox)
    finish(gateway, *keys, error="unreadable")
    found, cursor = [], None
    while True:
        page = stands(gateway, batch, limit=2, **({"cursor": cursor} if cursor else {}))
        found += [failure["key"] for failure in page["failures"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert sorted(found) == keys


@pytest.mark.parametrize(
    "wanted",
    [
        {}, {"keys": []}, {"keys": ["a"], "prefix": "b"}, {"keys": "a"}, {"keys": [""]}, {"keys": ["x" * 1025]},
        {"keys": [1]}, {"keys": ["a"], "force": "perhaps"}, {"prefix": 5}, {"prefix": "x" * 1025}, {"uploads": []},
        [], "keys", None, 5,
    ],
)  # fmt: skip
def test_a_batch_of_nothing_is_refused(gateway: Running, client: Client, wanted: object) -> None:
    answer = gateway.http.post("/v1/batches", json=wanted)
    assert (answer.status_code, problem(answer)) == (422, "invalid")
    assert answer.json()["errors"]
    assert not list(client.scan_iter("test:batch*"))


@pytest.mark.parametrize("prefix", ["../", "/etc/", "\0", ".hidden/", "no/such/"])
def test_prefixes_that_lead_nowhere_hold_nothing(gateway: Running, prefix: str) -> None:
    batch = begun(gateway, prefix=prefix)
    eventually(lambda: stands(gateway, batch)["finished"])
    assert stands(gateway, batch)["total"] == 0


@pytest.mark.parametrize("name", ["x", "0" * 24, "0" * 23, "%00", "A" * 24, "0" * 24 + ":counts"])
def test_what_is_no_batch_is_not_found(gateway: Running, name: str) -> None:
    answer = gateway.http.get(f"/v1/batches/{name}")
    assert (answer.status_code, problem(answer)) == (404, "not-found")


def test_many_ask_at_once_and_each_object_is_counted_once(gateway: Running) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    keys = [f"{number}.png" for number in range(300)]
    for key in keys:
        gateway.put(key)
    batch = begun(gateway, keys=keys)
    dispatch(gateway, gateway.wiring.inbox)
    finish(gateway, *keys)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: stands(gateway, batch), range(16)))
    assert stands(gateway, batch)["counts"] == {"done": 300}
