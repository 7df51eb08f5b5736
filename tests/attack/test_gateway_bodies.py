"""Bodies as an attack on the gateway: from strangers, unfinished, deep, and more than memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.attack.gateway_process import ADMIN, Attacked, answered, attacked
from tests.contract.gateway.running import Running, problem, received, running, status_of, wired
from tests.eventually import eventually
from workers.gateway.body_memory import LEAST, BodyMemory
from workers.gateway.json_bodies import DEPTH, VALUES
from workers.gateway.problems import Problem
from workers.gateway.route_rules import LARGER, SMALL
from workers.gateway.serving import Protocol
from workers.gateway.shares import Shares

JSON_ROUTES = ["/v1/batches", "/v1/captions", "/v1/uploads", "/v1/objects/inbox/a.png:tag"]
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Attacked]:
    """A gateway that asks for keys."""
    with attacked(
        tmp_path_factory.mktemp("home"), redis_url, key_required=True, admin_key=ADMIN, backlog_max=100_000
    ) as made:
        yield made


@pytest.mark.parametrize("path", [*JSON_ROUTES, "/v1/images", "/v1/search", "/v1/batches?x=1"])
def test_a_stranger_is_refused_before_the_body_comes(gateway: Attacked, path: str) -> None:
    with gateway.begin(path, 3 * MEBIBYTE) as connection:
        assert answered(connection, 20) == 401


def test_strangers_with_large_bodies_do_not_hold_up_others(gateway: Attacked) -> None:
    """Two senders as fast as they can, each with 4 MB of nested JSON: it is not parsed, and `/healthz` answers."""
    body, stop = b"[" * LARGER["/v1/batches"], threading.Event()
    statuses: list[int] = []

    def send() -> None:
        while not stop.is_set():
            with gateway.begin("/v1/batches", len(body), body) as connection:
                statuses.append(answered(connection, 20) or 0)

    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(20):
            assert httpx.get(f"{gateway.url}/healthz", timeout=10).status_code == 200
        eventually(lambda: len(statuses) >= 10)
    finally:
        stop.set()
        for sender in senders:
            sender.join(30)
    assert set(statuses) == {401}


def test_unfinished_bodies_of_strangers_take_no_memory(gateway: Attacked) -> None:
    before = gateway.megabytes
    body = b'{"keys":["' + b"x" * 1_900_000
    with gateway.unfinished(300, "/v1/batches", 4_000_000, body) as statuses:
        assert gateway.megabytes - before < 80
        assert statuses
        assert set(statuses) == {401}
    assert httpx.get(f"{gateway.url}/healthz", timeout=10).status_code == 200


def test_unfinished_bodies_with_a_key_take_a_share_and_leave_the_rest(gateway: Attacked) -> None:
    greedy, other = gateway.key("greedy"), gateway.key("other")
    before = gateway.megabytes
    body = b'{"keys":["' + b"x" * 1_900_000
    share = max(LEAST, 2 * gateway.settings.max_object_bytes) / 2 / MEBIBYTE
    with gateway.unfinished(150, "/v1/batches", 4_000_000, body, greedy) as statuses:
        assert 429 in statuses
        assert gateway.megabytes - before < 2 * share
        wanted = {"keys": ["a.png"]}
        assert httpx.post(f"{gateway.url}/v1/batches", json=wanted, headers=other, timeout=20).status_code == 202
    again = httpx.Client(base_url=gateway.url, headers=greedy, timeout=20)
    with again:
        eventually(lambda: again.post("/v1/batches", json=wanted).status_code == 202)


def test_every_small_route_has_a_small_limit(gateway: Attacked) -> None:
    key = gateway.key("sized")
    for path in ("/v1/uploads", "/v1/objects/inbox/a.png:tag", "/v1/session"):
        large = httpx.post(f"{gateway.url}{path}", content=b" " * (SMALL + 1), headers=key, timeout=20)
        assert (large.status_code, problem(large)) == (413, "too-large"), path


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/captions"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1), 400),
        (b'{"a":' * 100_000, 400),
        (b'{"keys":' + b"[" * 40 + b'"]]]]"' + b"]" * 40 + b"}", 400),
        (b'["' + b'\\"[' * 100 + b'"]', 422),  # brackets in a string do not count
        (b"[" + b"1," * VALUES + b"1]", 413),
        (b'{"keys":[' + b"[]," * VALUES + b"[]]}", 413),
        (b'["a",' * 30 + b'"\\', 422),
        (b"9" * 100_000, 422),
        (('["\u2200",' + "[" * 5000).encode("utf-16"), 400),  # a byte of the sign is a quotation mark, if taken alone
        (("[" * 5000).encode("utf-32-le"), 400),
        (b'""' * (2 * VALUES + 1) + b"[" * (DEPTH + 1), 413),
    ],
    ids=["deep", "objects", "deep beside strings", "strings", "many", "lists", "cut off", "a number", "UTF-16",
         "UTF-32", "texts"],
)  # fmt: skip
def test_json_has_a_depth_and_a_number_of_values(gateway: Attacked, path: str, body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
    answer = httpx.post(f"{gateway.url}{path}", content=body, headers=headers, timeout=20)
    assert answer.status_code in {status, 400 if status == 422 else status}, answer.text
    problem(answer)


def test_a_batch_of_the_largest_size_is_within_the_limits(gateway: Attacked) -> None:
    keys = [f'a folder, [with] {{marks}}/{n}".png' for n in range(10_000)]
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = httpx.post(f"{gateway.url}/v1/batches", json={"keys": keys}, headers=headers, timeout=60)
    assert answer.status_code == 202, answer.text


def test_errors_of_many_fields_are_not_all_listed(gateway: Attacked) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = httpx.post(f"{gateway.url}/v1/batches", json={"keys": [1] * 10_000}, headers=headers, timeout=20)
    assert answer.status_code == 422
    assert len(answer.content) < 10_000


@pytest.fixture(scope="module")
def impatient(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that waits half a second for a body, and for the rest of one that it has refused."""

    class Impatient(Protocol):
        drain_s = 0.5

    wiring = wired(tmp_path_factory.mktemp("home"), redis_url)
    wiring.redis.flushall()
    with running(wiring, server={"http": Impatient}, body_patience_s=0.5) as made:
        yield made


def test_the_rest_of_a_refused_body_is_waited_for_some_time(impatient: Running) -> None:
    head = b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as connection:
        connection.sendall(head)
        assert status_of(received(connection)) == 413  # returns when the gateway closes
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as connection:
        connection.sendall(head + b" " * 100_000)  # the connection can be used again
        assert status_of(connection.recv(65_536)) == 413
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b""
        while not answer.endswith(b"alive\n"):
            answer += connection.recv(65_536)


def test_a_refusal_reaches_who_keeps_no_connection_and_is_still_sending(impatient: Running) -> None:
    """As nginx does, which answers 502 by itself if the connection is closed before it has sent the body."""
    head = b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as connection:
        connection.sendall(head + b" " * 1_000_000)
        answer = connection.recv(65_536)
        assert (status_of(answer), b"\r\nconnection: close\r\n" in answer) == (413, True)
        connection.sendall(b" " * 2_000_000)
        while connection.recv(65_536):  # it is closed, not reset
            pass


def test_a_json_body_in_drops_is_given_up(impatient: Running) -> None:
    """Each byte comes in time; all of them together do not."""
    head = b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n"
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as connection:
        connection.sendall(head)
        with suppress(OSError):  # it hung up
            for _ in range(30):
                connection.sendall(b" ")
                time.sleep(0.1)  # a drop
        assert answered(connection, 20) == 408


def test_a_form_with_many_parts_is_refused(impatient: Running) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = impatient.http.post("/v1/images", content=part * 100, headers=headers)
    assert (answer.status_code, problem(answer)) == (400, "bad-request")
    assert "parts" in answer.json()["detail"]


def test_memory_is_shared_and_comes_back() -> None:
    memory = BodyMemory(0)
    with memory.lease("greedy") as first, memory.lease("greedy") as second:
        first.grow(LEAST // 2)
        with pytest.raises(Problem, match="already hold") as refused:
            second.grow(2**20)
        assert (refused.value.status, "Retry-After" in refused.value.headers) == (429, True)
        with memory.lease("other") as third:
            third.grow(LEAST // 4)
            with pytest.raises(Problem, match="already hold"):
                third.grow(LEAST // 4)
    assert memory.shares.used == 0
    with memory.lease("greedy") as again:
        again.grow(LEAST // 2)


def test_there_is_something_left_for_a_newcomer() -> None:
    shares = Shares(100)
    for name in "abcdef":
        while shares.refusal(name, 1) is None:
            shares.take(name, 1)
        assert shares.held(name) >= 1
    assert shares.held("a") == 50
    assert shares.refusal(None, 1) in {None, "full"}
