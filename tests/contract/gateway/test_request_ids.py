"""Ids of requests: taken over or made, in responses, problems, events and logs; and a line for each request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.contract.gateway.running import PIXEL, Running, png, running, wired
from tests.eventually import eventually
from workers.gateway.access_log import shown
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import decoded

MADE = re.compile("[0-9a-f]{16}")


def events(gateway: Running) -> list[ObjectEvent]:
    """What is in the inbox."""
    found: Any = gateway.wiring.redis.xrange(gateway.wiring.keys.inbox)
    return [event for _, fields in found if (event := decoded(fields)) is not None]


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs(processors=[merge_contextvars]) as found:
        yield found


def requests(lines: list[Any], count: int) -> list[Any]:
    """The lines of ``count`` requests; each is logged after its answer was sent."""
    eventually(lambda: len(_requests(lines)) >= count, 5)
    return _requests(lines)


def _requests(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "request"]


def test_the_id_of_an_upload_is_in_the_response_the_event_and_every_line(gateway: Running, lines: list[Any]) -> None:
    answer = gateway.http.post("/v1/images", content=png("id"), headers={"X-Request-Id": "abc-1.2:3"})
    assert answer.headers["x-request-id"] == "abc-1.2:3"
    (event,) = events(gateway)
    assert event.origin is not None
    assert (event.origin.request, event.origin.trace) == ("abc-1.2:3", "")
    requests(lines, 1)
    own = [line for line in lines if line.get("request") == "abc-1.2:3"]
    assert [line["event"] for line in own] == ["image accepted", "request"]
    assert own[0]["object"] == event.id
    line = own[1]
    assert (line["method"], line["route"], line["path"], line["status"]) == ("POST", "/v1/images", "/v1/images", 202)
    assert (line["bytes_in"], line["bytes_out"]) == (len(png("id")), len(answer.content))
    assert (line["client"], line["key"], line["log_level"]) == ("127.0.0.1", "", "info")
    assert 0 < line["ms"] < 60_000


def test_the_images_of_a_form_have_the_same_id(gateway: Running) -> None:
    files = [("file", (f"{n}.png", png(str(n)), "image/png")) for n in range(3)]
    answer = gateway.http.post("/v1/images", files=files)
    assert answer.status_code == 202, answer.text
    found = [event.origin and event.origin.request for event in events(gateway)]
    assert found == [answer.headers["x-request-id"]] * 3


@pytest.mark.parametrize("given", ["a b", "a\x01b", "x" * 129, "a'b", "<script>", ""])
def test_an_invalid_id_is_replaced(gateway: Running, given: str, lines: list[Any]) -> None:
    raw = (
        f"GET /v1/nothing HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nX-Request-Id: {given}\r\n"
        "Connection: close\r\n\r\n"
    )
    answer = gateway.raw(raw.encode("latin-1")).decode()
    if "400 Bad Request" in answer.partition("\r\n")[0]:  # the parser of the server refuses it
        return
    made = re.search(r"x-request-id: (\S+)", answer)
    assert made
    assert MADE.fullmatch(made[1])
    assert f'"request_id":"{made[1]}"' in answer
    assert [line["request"] for line in requests(lines, 1)] == [made[1]]


def test_requests_have_ids_of_their_own(gateway: Running) -> None:
    ids = {gateway.http.get("/healthz").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(map(MADE.fullmatch, ids))


def test_a_bug_has_the_id_in_its_problem_its_line_and_its_traceback(
    gateway: Running, monkeypatch: pytest.MonkeyPatch, lines: list[Any]
) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("workers.gateway.images.Images.look", bug)
    answer = gateway.http.get("/v1/objects/inbox/a.png", headers={"X-Request-Id": "bug-1"})
    assert answer.status_code == 500, answer.text
    assert answer.headers["x-request-id"] == "bug-1"
    assert answer.json()["request_id"] == "bug-1"
    assert [line["status"] for line in requests(lines, 1)] == [500]
    assert {line["event"] for line in lines if line.get("request") == "bug-1"} == {"request", "request failed"}


def test_what_comes_all_the_time_is_at_the_level_debug(gateway: Running, lines: list[Any]) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/", "/main.js", "/openapi.json"):
        gateway.http.get(path)
    gateway.http.get("/v1/status")
    assert [(line["path"], line["log_level"]) for line in requests(lines, 7)] == [
        ("/healthz", "debug"), ("/readyz", "debug"), ("/metrics", "debug"), ("/", "debug"), ("/main.js", "debug"),
        ("/openapi.json", "debug"), ("/v1/status", "info"),
    ]  # fmt: skip


def test_neither_queries_nor_tokens_nor_headers_are_logged(gateway: Running, lines: list[Any]) -> None:
    seed = "5eed" * 12
    gateway.http.get(f"/v1/images?token={seed}", headers={"Authorization": f"Bearer {seed}", "Cookie": f"a={seed}"})
    gateway.http.post(f"/v1/uploads/{seed}", content=PIXEL)
    gateway.http.get(f"/v1/uploads/{seed}/more")
    assert len(requests(lines, 3)) == 3
    assert seed not in str(lines)
    assert shown(f"/v1/uploads/{seed}") == "/v1/uploads/***"


def test_events_of_a_notification_have_the_id_of_its_request(gateway: Running) -> None:
    body = {"EventName": "s3:ObjectCreated:Put", "Key": "inbox/a.png", "Records": [{
        "eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "inbox"}, "object": {"key": "a.png"}},
    }]}  # fmt: skip
    answer = gateway.http.post("/v1/events/minio", json=body, headers={"X-Request-Id": "minio-7"})
    assert answer.status_code == 200, answer.text
    assert [event.origin and event.origin.request for event in events(gateway)] == ["minio-7"]


def test_the_lines_can_be_switched_off(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory, lines: list[Any]
) -> None:
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, access_log=False)
    with running(wiring) as gateway:
        assert MADE.fullmatch(httpx.get(f"{gateway.url}/v1/status").headers["x-request-id"])
    assert _requests(lines) == []
