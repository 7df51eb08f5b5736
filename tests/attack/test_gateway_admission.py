"""More work than there is room for, by every way in; and presigned forms used for something else."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.attack.gateway_process import ADMIN
from tests.contract.gateway.running import PIXEL, Json, Running, emptied, png, problem, running, wired
from tests.contract.s3_server import store_at
from tests.eventually import eventually
from workers.dispatch.batch_room import OPEN, PREFIXES, BatchesFull, BatchRoom
from workers.gateway.api_keys import Scope
from workers.gateway.upload_slots import Slot, UploadSlots
from workers.redis.connection import Client
from workers.redis.keys import Keys

BACKLOG = 20
LATER = 2.0**52  # an object that joined a batch then is not finished, as the event that tells of it is still to come


@pytest.fixture(scope="module")
def module_gateway(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, key_required=True, admin_key=ADMIN)
    with running(wiring, backlog_max=BACKLOG) as made:
        yield made


@pytest.fixture
def gateway(module_gateway: Running) -> Running:
    """A gateway that asks for keys and lets 20 objects wait."""
    emptied(module_gateway)
    return module_gateway


def key(gateway: Running, name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {gateway.wiring.api_keys.create(name, Scope.WRITE)}"}


def ways_in(gateway: Running, headers: dict[str, str]) -> dict[str, httpx.Response]:
    """One answer of each way to have something tagged."""
    http = gateway.http
    return {
        "upload": http.post("/v1/images", content=png("new"), headers=headers),
        "form": http.post("/v1/uploads", json={}, headers=headers),
        "keys": http.post("/v1/batches", json={"keys": ["a.png"]}, headers=headers),
        "prefix": http.post("/v1/batches", json={"prefix": ""}, headers=headers),
        "uploads": http.post("/v1/batches", json={"uploads": ["0" * 32]}, headers=headers),
        "retag": http.post("/v1/objects/inbox/a.png:retag", headers=headers),
        "segment": http.post("/v1/objects/inbox/a.png:segment", headers=headers),
    }


def test_every_way_in_has_the_same_limit(gateway: Running) -> None:
    ref = gateway.tagged("a.png", "cat")
    writer = key(gateway, "writer")
    full = gateway.http.post(
        "/v1/batches",
        json={"keys": [f"{n}.png" for n in range(BACKLOG)]},
        headers={"Authorization": f"Bearer {ADMIN}"},
    )
    assert full.status_code == 202
    assert gateway.wiring.redis.xlen("test:inbox") == BACKLOG
    for way, answer in ways_in(gateway, writer).items():
        assert (answer.status_code, problem(answer)) == (503, "busy"), way
        assert int(answer.headers["retry-after"]) >= 1
    assert gateway.wiring.redis.xlen("test:inbox") == BACKLOG
    assert gateway.stored() == []
    assert ref.key == "a.png"


def test_a_key_has_its_share_and_leaves_the_rest(gateway: Running) -> None:
    gateway.tagged("a.png", "cat")
    greedy, other = key(gateway, "greedy"), key(gateway, "other")
    first = {"keys": ["first.png"]}
    eventually(lambda: gateway.http.post("/v1/batches", json=first, headers=greedy).status_code == 202)
    taken = 1
    while gateway.http.post("/v1/batches", json={"keys": [f"{taken}.png"]}, headers=greedy).status_code == 202:
        taken += 1
    assert taken == BACKLOG // 2
    for way, answer in ways_in(gateway, greedy).items():
        assert (answer.status_code, problem(answer)) == (429, "too-many"), way
        assert int(answer.headers["retry-after"]) >= 1
    assert gateway.http.post("/v1/images", content=PIXEL, headers=other).status_code == 202
    gateway.wiring.redis.delete("test:inbox")  # all of it is done
    eventually(lambda: gateway.http.post("/v1/images", content=PIXEL, headers=greedy).status_code == 202)


def test_more_than_ever_fits_is_said_so(gateway: Running) -> None:
    wanted = {"keys": [f"{n}.png" for n in range(BACKLOG)]}
    answer = gateway.http.post("/v1/batches", json=wanted, headers=key(gateway, "k"))
    assert (answer.status_code, problem(answer)) == (413, "too-large")
    assert gateway.wiring.redis.xlen("test:inbox") == 0


def test_batches_that_nobody_asks_for_do_not_fill_redis(gateway: Running) -> None:
    redis, writer, other = gateway.wiring.redis, key(gateway, "w"), key(gateway, "o")

    def ask(headers: dict[str, str]) -> httpx.Response:
        return gateway.http.post("/v1/batches", json={"keys": ["1.png", "2.png"]}, headers=headers)

    eventually(lambda: ask(other).status_code == 202)
    batch = ask(writer).json()["id"]
    redis.zadd(f"test:batch:{batch}:open", {f"inbox/{n}.png": LATER for n in range(OPEN // 2)})
    refused = ask(writer)
    assert (refused.status_code, problem(refused)) == (429, "too-many")
    assert ask(other).status_code == 202
    redis.zadd(f"test:batch:{batch}:open", {f"inbox/{n}.png": LATER for n in range(OPEN)})
    full = ask(other)
    assert (full.status_code, problem(full)) == (503, "busy")
    redis.delete(f"test:batch:{batch}:open")
    assert ask(other).status_code == 202


def test_only_so_many_batches_over_prefixes_are_listed(client: Client) -> None:
    keys = Keys("other:")
    room = BatchRoom(client, keys)
    room.check_prefix("")
    client.sadd(keys.batches, *(f"{n:024x}" for n in range(PREFIXES)))
    with pytest.raises(BatchesFull):
        room.check_prefix("")


def test_batches_that_are_finished_make_room(gateway: Running) -> None:
    redis, writer = gateway.wiring.redis, key(gateway, "w")
    unfinished = "test:batches:unfinished"
    asked = gateway.http.post("/v1/batches", json={"keys": ["none.png"]}, headers=writer).json()["id"]
    gateway.http.post("/v1/batches", json={"keys": ["none.png"]}, headers=writer)
    redis.delete("test:inbox")  # the dispatcher found that there is no such object
    assert gateway.http.get(f"/v1/batches/{asked}", headers=writer).json()["finished"]
    eventually(lambda: redis.zcard(unfinished) == 0)  # the gateway looks at the other one by itself


def form(gateway: Running, headers: dict[str, str], **wanted: object) -> Json:
    answer = gateway.http.post("/v1/uploads", json=wanted, headers=headers)
    assert answer.status_code == 201, answer.text
    body: Json = answer.json()
    return body


def sent(made: Json, image: bytes) -> httpx.Response:
    return httpx.post(made["url"], data=made["fields"], files={"file": ("x", image)}, timeout=20)


def test_a_form_takes_one_image_of_its_type_and_size(gateway: Running) -> None:
    writer = key(gateway, "w")
    made = form(gateway, writer, content_type="image/png", size=len(PIXEL))
    assert (made["method"], made["max_bytes"]) == ("POST", len(PIXEL))
    gif = b"GIF89a".ljust(len(PIXEL), b"\0")
    assert problem(sent(made, gif)) == "not-an-image"
    assert problem(sent(made, PIXEL + b"x")) == "too-large"
    assert problem(sent(made, PIXEL[:-1])) == "bad-request"
    assert problem(sent(made, b"<script>")) == "not-an-image"
    assert gateway.stored() == []
    done = sent(made, PIXEL)
    assert done.status_code == 204
    assert gateway.http.get(done.headers["location"], headers=writer).json()["state"] == "queued"
    assert problem(sent(made, PIXEL)) == "not-found"  # once
    assert [path.read_bytes() for path in gateway.stored()] == [PIXEL]


def test_a_form_that_is_sent_again_and_again_ends_when_it_was_to_end(gateway: Running) -> None:
    now = time.time()
    wiring = gateway.wiring
    slots = UploadSlots(wiring.redis, wiring.keys, lambda: now)
    slot = Slot("a.png", "image/png", 1, 9, "w", now + 100)
    token = slots.create(slot)
    (name,) = (key for key in wiring.redis.scan_iter() if b"upload-slot" in key)
    for passed in (0, 60, 30):
        now += passed
        assert slots.look_up(token) == slot
        assert slots.use_up(token)
        assert not slots.use_up(token)
        slots.put_back(token, slot)  # an upload that failed
    assert 0 < wiring.redis.ttl(name) <= 10
    now += 11
    assert slots.use_up(token)
    slots.put_back(token, slot)
    assert slots.look_up(token) is None


def test_a_large_body_for_a_small_form_is_not_kept(gateway: Running) -> None:
    made = form(gateway, key(gateway, "w"), content_type="image/png", size=400_000)
    assert problem(sent(made, png(size=900_000))) == "too-large"
    streamed = httpx.post(made["url"], content=iter([png(size=300_000)] * 3), timeout=20)
    assert problem(streamed) == "too-large"
    assert gateway.stored() == []


@pytest.mark.parametrize("token", ["0" * 48, "x", "..%2Fimages", "0" * 5000])
def test_a_form_that_nobody_made_is_none(gateway: Running, token: str) -> None:
    answer = gateway.http.post(f"/v1/uploads/{token}", content=PIXEL)
    assert answer.status_code in {401, 404, 405}
    assert gateway.stored() == []


def test_a_form_needs_a_key_that_may_write_and_a_size_that_may_be(gateway: Running) -> None:
    reader = {"Authorization": f"Bearer {gateway.wiring.api_keys.create('r', Scope.READ)}"}
    assert gateway.http.post("/v1/uploads", json={}).status_code == 401
    assert gateway.http.post("/v1/uploads", json={}, headers=reader).status_code == 403
    writer = key(gateway, "w")
    for size in (0, -1, "x", 1.5):
        assert gateway.http.post("/v1/uploads", json={"size": size}, headers=writer).status_code == 422
    large = gateway.http.post("/v1/uploads", json={"size": 10**12}, headers=writer)
    assert problem(large) == "too-large"


def test_the_policy_of_s3_binds_key_type_and_size() -> None:
    s3_store = store_at("http://127.0.0.1:9", access_key="x", secret_key="y")  # noqa: S106 -- opens nothing
    url, fields = s3_store.upload_form("photos", "uploads/a.png", "image/png", range(1, 1001), 60)
    assert url.endswith("/photos/")
    policy = json.loads(base64.b64decode(fields["policy"]))
    conditions = policy["conditions"]
    assert ["eq", "$key", "uploads/a.png"] in conditions
    assert ["eq", "$Content-Type", "image/png"] in conditions
    assert ["content-length-range", 1, 1000] in conditions
    assert ["eq", "$bucket", "photos"] in conditions
    assert fields["key"] == "uploads/a.png"
    assert fields["x-amz-signature"]
