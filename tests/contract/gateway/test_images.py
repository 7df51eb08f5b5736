"""Where an image is: polled, waited for, followed step by step, found by any key; tagged again; removed."""

from __future__ import annotations

import math
import threading
import time
from urllib.parse import quote

import pytest

from tests.contract.gateway.running import Running, events, problem, running, status_of, wired
from tests.eventually import eventually
from workers.lifecycle.record_view import FIELDS

BUCKET = "inbox"
AWKWARD = [
    "a b.png", "100%.png", "a%20b.png", "a+b.png", "größe.png", "写真/猫.png", "a?b#c.png",
    "quote\"'.png", "x&y=z;.png", "back\\slash.png", "\\xe9.png", "down/there/x.png", "emoji 🐈.png", "a:retag.png",
]  # fmt: skip


def address(key: str) -> str:
    return f"/v1/objects/{BUCKET}/{quote(key)}"


def test_every_step_of_an_image_is_told(gateway: Running) -> None:
    name = gateway.upload()["id"]
    where = f"/v1/images/{name}"
    ref = gateway.wiring.store.stat(BUCKET, f"uploads/{name}").ref  # type: ignore[union-attr]  # it is there
    progress = gateway.http.get(where).json()
    assert (progress["state"], progress["id"], progress["etag"], progress["record"]) == (
        "queued",
        name,
        ref.etag,
        None,
    )
    gateway.enter(ref)
    progress = gateway.http.get(where).json()
    assert (progress["state"], progress["position"]) == ("queued", 0)
    for stage in ("embedding", "retrieval", "extraction", "scoring"):
        gateway.advance(ref, stage)
        progress = gateway.http.get(where).json()
        assert (progress["state"], progress["position"]) == (stage, None)
        assert stage in progress["stages"]
    record = gateway.finish(ref, "cat", "animal")
    progress = gateway.http.get(where).json()
    assert progress["state"] == "done"
    assert [tag["label"] for tag in progress["record"]["tags"]] == ["cat", "animal"]
    assert progress["record"]["key"] == record.key
    assert gateway.http.get(f"/v1/objects/{BUCKET}/uploads/{name}").json() == progress


def test_an_etag_says_that_nothing_happened(gateway: Running) -> None:
    ref = gateway.put("a.png")
    gateway.enter(ref)
    first = gateway.http.get(address("a.png"))
    tag = first.headers["etag"]
    for match in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        same = gateway.http.get(address("a.png"), headers={"If-None-Match": match})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag), match
    gateway.put("earlier.png")  # the place in the queue is no step
    gateway.advance(ref, "embedding")
    stepped = gateway.http.get(address("a.png"), headers={"If-None-Match": tag})
    assert stepped.status_code == 200
    assert stepped.headers["etag"] != tag


def test_waiting_ends_with_the_record(gateway: Running) -> None:
    ref = gateway.put("a.png")
    gateway.enter(ref)
    threading.Timer(0.3, lambda: gateway.finish(ref, "cat")).start()
    began = time.monotonic()
    answer = gateway.http.get(address("a.png"), params={"wait": 20})
    assert answer.json()["state"] == "done"
    assert 0.2 < time.monotonic() - began < 10
    assert "retry-after" not in answer.headers


def test_waiting_with_an_etag_ends_with_the_next_step(gateway: Running) -> None:
    ref = gateway.put("a.png")
    gateway.enter(ref)
    tag = gateway.http.get(address("a.png")).headers["etag"]
    threading.Timer(0.3, lambda: gateway.advance(ref, "retrieval")).start()
    answer = gateway.http.get(address("a.png"), params={"wait": 20}, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["state"]) == (200, "retrieval")
    again = gateway.http.get(
        address("a.png"), params={"wait": 0.2}, headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("wait", ["nan", "-1", "61", "inf", "x", ""])
def test_a_time_that_is_none_is_refused(gateway: Running, wait: str) -> None:
    gateway.put("a.png")
    for parameter in ("wait", "since"):
        if (parameter, wait) == ("since", "61"):
            continue
        answer = gateway.http.get(f"{address('a.png')}?{parameter}={wait}")
        assert (answer.status_code, problem(answer)) == (422, "invalid"), parameter


def test_an_image_is_tagged_again_and_the_new_record_waited_for(gateway: Running) -> None:
    name = gateway.upload()["id"]
    ref = gateway.wiring.store.stat(BUCKET, f"uploads/{name}").ref  # type: ignore[union-attr]  # it is there
    gateway.enter(ref)
    gateway.finish(ref, "cat")
    again = gateway.http.post(f"/v1/images/{name}:retag")
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    assert again.json()["previous"]["tags"][0]["label"] == "cat"
    where = again.headers["location"]
    for address in (where, f"/v1/images/{name}", f"/v1/objects/{BUCKET}/uploads/{name}"):
        assert gateway.http.get(address).json()["state"] == "queued"
    gateway.enter(ref, force=True)
    gateway.wiring.inbox.prepare()
    gateway.wiring.inbox.done([entry for entry, _ in gateway.wiring.inbox.read("test", 10, None)])
    gateway.finish(ref, "dog")
    after = gateway.http.get(where, params={"wait": 5}).json()
    assert after["record"]["tags"][0]["label"] == "dog"


def test_an_image_is_removed(gateway: Running) -> None:
    name = gateway.upload()["id"]
    assert gateway.http.delete(f"/v1/images/{name}").status_code == 204
    assert gateway.stored() == []
    again = gateway.http.delete(f"/v1/images/{name}")
    assert (again.status_code, problem(again)) == (404, "not-found")
    gateway.wiring.inbox.prepare()
    kinds = [event.kind for _, event in gateway.wiring.inbox.read("test", 10, None)]
    assert kinds == ["created", "removed"]


@pytest.mark.parametrize("name", ["x", "0" * 32, "0" * 32 + ".jpg", "..%2f..%2fetc", "%00", "A" * 32])
def test_what_is_no_image_is_not_found(gateway: Running, name: str) -> None:
    for method, suffix in (("GET", ""), ("GET", "/events"), ("DELETE", ""), ("POST", ":retag")):
        answer = gateway.http.request(method, f"/v1/images/{name}{suffix}")
        assert answer.status_code in {404, 405} if "%2f" in name else answer.status_code == 404, (method, suffix)
        assert problem(answer) in {"not-found", "method-not-allowed"}


@pytest.mark.parametrize("key", AWKWARD)
def test_objects_are_found_by_any_key(gateway: Running, key: str) -> None:
    ref = gateway.put(key)
    gateway.enter(ref)
    gateway.finish(ref, "cat")
    status, body = gateway.get(address(key))
    assert (status, body["key"], body["state"]) == (200, key, "done")
    again = gateway.http.post(f"{address(key)}:retag")
    assert again.status_code == 202
    where = again.headers["location"]
    assert gateway.http.get(where).json()["key"] == key


def test_names_that_are_not_utf_8_have_keys_that_are(gateway: Running) -> None:
    import os  # noqa: PLC0415

    with open(os.fsencode(gateway.folder) + b"/caf\xe9.png", "wb") as file:  # noqa: PTH123 -- a name of bytes
        file.write(b"x")
    (info,) = gateway.wiring.store.list(BUCKET)
    assert info.ref.key == "caf\\xe9.png"
    status, body = gateway.get(address(info.ref.key))
    assert (status, body["key"], body["state"]) == (200, info.ref.key, "queued")


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("inbox/caf%E9.png", 400, "bad-key"),
        ("inbox/%ff%fe", 400, "bad-key"),
        ("inbox/%ED%A0%80", 400, "bad-key"),  # half of a surrogate pair
        ("inbox/../../etc/passwd", 404, "not-found"),
        ("inbox/..%2f..%2fetc/passwd", 404, "not-found"),
        ("inbox/%2fetc/passwd", 403, "forbidden"),
        ("inbox//etc/passwd", 403, "forbidden"),
        ("inbox/a%00b", 403, "forbidden"),
        ("inbox/.hidden", 404, "not-found"),
        ("inbox/" + "x" * 3000, 404, "not-found"),
        ("inbox/" + "x/" * 3000, 404, "not-found"),
        ("inbox/", 404, "not-found"),
        ("inbox", 404, "not-found"),
        ("other/a.png", 404, "not-found"),
        ("/a.png", 404, "not-found"),
    ],
)
def test_keys_that_lead_nowhere_are_refused(gateway: Running, path: str, status: int, name: str) -> None:
    got, body = gateway.get(f"/v1/objects/{path}")
    assert (got, body["type"]) == (status, f"urn:wildtag:problem:{name}")


def test_links_that_lead_outside_are_not_followed(gateway: Running) -> None:
    (gateway.folder / "link.png").symlink_to("/etc/passwd")
    assert gateway.http.get("/v1/thumbnails/inbox/link.png").status_code == 403


def test_events_end_with_the_final_state_and_free_their_place(gateway: Running) -> None:
    ref = gateway.put("uploads/" + "0" * 32 + ".png")
    gateway.enter(ref)
    heard = []
    with gateway.http.stream("GET", f"/v1/images/{ref.key.removeprefix('uploads/')}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for event in events(answer):
            heard.append((event.name, event.data["state"]))
            if len(heard) == 1:
                gateway.advance(ref, "embedding")
            elif len(heard) == 2:
                gateway.finish(ref, "cat")
    assert heard == [("state", "queued"), ("state", "embedding"), ("state", "done")]
    eventually(lambda: open_streams(gateway) == 0)


def open_streams(gateway: Running) -> float:
    (line,) = [at for at in gateway.http.get("/metrics").text.splitlines() if at.startswith("wildtag_event_streams ")]
    return float(line.split()[1])


def test_only_so_many_streams_are_open_and_closed_ones_free_their_place(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running(wired(tmp_path_factory.mktemp("home"), redis_url), streams_max=2) as gateway:
        ref = gateway.put("a.png")
        gateway.enter(ref)
        with gateway.http.stream("GET", f"{address('a.png')}:events") as one, gateway.http.stream("GET", "/v1/feed"):
            coming = events(one)  # kept: when it is let go of the stream is closed
            next(coming)
            eventually(lambda: open_streams(gateway) == 2)
            refused = gateway.http.get("/v1/feed")
            assert (refused.status_code, problem(refused), refused.headers["retry-after"]) == (429, "too-many", "5")
        eventually(lambda: open_streams(gateway) == 0)
        assert gateway.http.get(address("a.png")).status_code == 200


def test_a_crowd_does_not_get_past_the_limit(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Many ask at the same moment; those that are let in are as many as there are places."""
    with running(wired(tmp_path_factory.mktemp("home"), redis_url), streams_max=3) as gateway:
        import socket  # noqa: PLC0415

        crowd = [socket.create_connection(("127.0.0.1", gateway.port), timeout=10) for _ in range(20)]
        for one in crowd:
            one.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        statuses = [status_of(one.recv(4096)) for one in crowd]
        assert sorted(statuses) == [200] * 3 + [429] * 17
        for one in crowd:
            one.close()
        eventually(lambda: open_streams(gateway) == 0)


def test_the_newest_records_come_first_in_pages(gateway: Running) -> None:
    for number in range(7):
        gateway.tagged(f"{number}.png", "cat", error="unreadable" if number == 3 else None)
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = gateway.http.get("/v1/objects", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        found += [record["key"] for record in page["objects"]]
        cursor, pages = page["cursor"], pages + 1
    assert found == [f"{number}.png" for number in reversed(range(7))]
    failed = gateway.http.get("/v1/objects", params={"state": "failed"}).json()["objects"]
    assert [(record["key"], record["error"]["code"]) for record in failed] == [("3.png", "unreadable")]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "", "%D9%A1", "9" * 13])
def test_a_cursor_of_somebody_else_is_refused(gateway: Running, cursor: str) -> None:
    for path in ("/v1/objects", "/v1/tags", "/v1/tags/cat/objects"):
        answer = gateway.http.get(f"{path}?cursor={cursor}")
        assert (answer.status_code, problem(answer)) == (400, "bad-request"), path


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "state=queued", "limit=" + "9" * 30])
def test_what_is_out_of_range_is_invalid(gateway: Running, query: str) -> None:
    answer = gateway.http.get(f"/v1/objects?{query}")
    assert (answer.status_code, problem(answer)) == (422, "invalid")
    assert answer.json()["errors"][0]["where"] == f"query.{query.partition('=')[0]}"


def test_records_are_as_the_command_line_prints_them(gateway: Running) -> None:
    gateway.tagged("a.png", "cat")
    (record_json,) = gateway.http.get("/v1/objects").json()["objects"]
    unset = {"rejected", "file_name", "client_id", "metadata", "accepted_at", "stages", "retag_error"}
    assert set(record_json) | unset == set(FIELDS)
    assert math.isclose(record_json["tags"][0]["score"], 0.9)


def test_thumbnails_are_small_and_known_by_their_etag(gateway: Running) -> None:
    import io  # noqa: PLC0415

    from PIL import Image  # noqa: PLC0415

    file = io.BytesIO()
    Image.new("RGB", (900, 600), (10, 200, 30)).save(file, "PNG")
    gateway.put("a b.png", file.getvalue())
    where = "/v1/thumbnails/inbox/a%20b.png"
    answer = gateway.http.get(where, params={"size": 200})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(answer.content)).size == (320, 213)
    same = gateway.http.get(where, params={"size": 200}, headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304
    gateway.put("text.png", b"no image")
    assert problem(gateway.http.get("/v1/thumbnails/inbox/text.png")) == "not-an-image"
    assert problem(gateway.http.get("/v1/thumbnails/inbox/none.png")) == "not-found"
    assert gateway.http.get(where, params={"size": 1601}).status_code == 422
