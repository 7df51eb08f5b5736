"""A bucket of an S3 server with the real stack: whichever source reports an object, it gets one right record."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from minio import Minio

from ops.bench.moto_server import moto
from tests.acceptance.images import photograph
from tests.acceptance.stack import Stack, started
from tests.contract import real_servers
from tests.contract.conftest import drop
from tests.contract.s3_server import store_at
from tests.eventually import eventually
from tests.unit.events import other_servers as other
from workers.redis.connection import connect
from workers.supervision.supervisor import read_stack

pytestmark = pytest.mark.timeout(600)

BUCKET = f"wildtag-test-{uuid.uuid4().hex[:12]}"
TOKEN = "a-token-of-tests"  # noqa: S105 -- of tests


@pytest.fixture(scope="module", params=real_servers.S3_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an S3 server: moto, and a real one where it is named."""
    if request.param == "real":
        yield real_servers.S3
        return
    with moto() as address:
        yield address


@pytest.fixture(scope="module")
def followed(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory, server: str
) -> Iterator[tuple[Stack, Minio]]:  # fmt: skip
    """A stack whose first sweep finds nothing, and whose next one is hours away; and a client to its bucket.

    There is no listener, so that it gets only the events of a test.
    """
    access_key, secret_key = real_servers.key_pair(server)
    store = store_at(server)
    client = store.connection.client
    client.make_bucket(BUCKET)
    try:
        with started(
            prepared, tmp_path_factory.mktemp("bucket") / "home",
            WILDTAG_S3_ENDPOINT=server, WILDTAG_S3_ACCESS_KEY=access_key, WILDTAG_S3_SECRET_KEY=secret_key,
            WILDTAG_BUCKET=BUCKET, WILDTAG_RESCAN_S="3600", WILDTAG_WEBHOOK_TOKEN=TOKEN, WILDTAG_WRITE_BACK="tags",
            WILDTAG_IGNORE_PREFIXES="private/", WILDTAG_LISTEN="false",
        ) as stack:  # fmt: skip
            yield stack, client
    finally:
        drop(store, BUCKET)


@pytest.fixture
def stack(followed: tuple[Stack, Minio]) -> Stack:
    return followed[0]


@pytest.fixture
def bucket(followed: tuple[Stack, Minio]) -> Iterator[Minio]:
    """Empty, and after the test emptied again, with the records of what was in it."""
    stack, client = followed
    yield client
    for found in client.list_objects(BUCKET, recursive=True):
        client.remove_object(BUCKET, str(found.object_name))
    stack.wildtag("reconcile", "--confirm-removals", "--json")
    eventually(lambda: not any(stack.tally().values()), 60, stack.said)


def put(client: Minio, key: str, name: str) -> str:
    """Put one of the photographs; gives its etag."""
    data = photograph(name)
    return client.put_object(BUCKET, key, io.BytesIO(data), len(data), content_type="image/png").etag or ""


def notification(key: str, etag: str = "", sequencer: int = 1, kind: str = "ObjectCreated:Put") -> bytes:
    """A webhook's body, in the form that MinIO has."""
    found = {"key": quote_plus(key), "eTag": etag, "sequencer": f"{sequencer:X}", "size": 5}
    record = {"eventName": f"s3:{kind}", "s3": {"bucket": {"name": BUCKET}, "object": found}}
    return json.dumps({"EventName": f"s3:{kind}", "Key": f"{BUCKET}/{key}", "Records": [record]}).encode()


def notify(stack: Stack, body: bytes) -> int:
    info = read_stack(stack.home)
    assert info is not None
    request = urllib.request.Request(
        f"{info.addresses['gateway']}/v1/events/minio", body, {"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


def labels(record: dict[str, object]) -> set[str]:
    assert record["state"] == "done", record
    return {tag["label"] for tag in record["tags"]}  # type: ignore[attr-defined]  # as JSON has it


def test_objects_are_tagged_whatever_tells_of_them(stack: Stack, bucket: Minio) -> None:
    etags = {
        "by/web hook+ü.png": put(bucket, "by/web hook+ü.png", "chelsea.png"),
        "by/redis.png": put(bucket, "by/redis.png", "coffee.png"),
        "by/nothing.png": put(bucket, "by/nothing.png", "rocket.jpg"),
    }
    put(bucket, "private/secret.png", "coffee.png")
    assert notify(stack, notification("by/web hook+ü.png", etags["by/web hook+ü.png"])) == 200
    assert notify(stack, b"this is junk") == 202
    record = stack.settled(1)["by/web hook+ü.png"]
    assert "cat" in " ".join(labels(record))
    assert record["etag"] == etags["by/web hook+ü.png"]

    def written() -> dict[str, str]:
        return dict(bucket.get_object_tags(BUCKET, "by/web hook+ü.png") or {})

    eventually(lambda: written().get("wildtag.1"), 60, stack.said)  # and its tags are written back …
    assert written()["wildtag.1"] == record["tags"][0]["label"]
    notify(stack, notification("by/web hook+ü.png", record["etag"], 2, kind="ObjectCreated:PutTagging"))

    info = read_stack(stack.home)
    assert info is not None
    reader = subprocess.Popen([sys.executable, "-m", "workers.cli", "listen", "redis"], env=stack.environment)
    try:
        event = json.loads(notification("by/redis.png", etags["by/redis.png"]))["Records"]
        connect(info.addresses["redis"]).rpush("minio-events", json.dumps([{"Event": event, "EventTime": "now"}]))
        assert labels(stack.settled(2)["by/redis.png"]) & {"espresso", "coffee"}
    finally:
        reader.terminate()
        reader.wait(20)

    report = json.loads(stack.wildtag("reconcile", "--json").stdout)
    assert (report["seen"], report["sent"], report["gone"]) == (4, 1, 0)  # the private one is seen and not followed
    records = stack.settled(3)
    assert labels(records["by/nothing.png"]) & {"rocket", "missile"}
    assert {key: record["etag"] for key, record in records.items()} == etags
    assert records["by/web hook+ü.png"]["finished_at"] == record["finished_at"]  # … which has led to nothing
    stack.wildtag("retag", "--prefix", "by/web")
    eventually(lambda: stack.known()["by/web hook+ü.png"]["finished_at"] > record["finished_at"], 60, stack.said)
    assert [
        one["source"] for one in map(json.loads, stack.wildtag("events", "rejected", "--json").stdout.splitlines())
    ]

    bucket.remove_object(BUCKET, "by/redis.png")
    notify(stack, notification("by/redis.png", sequencer=9, kind="ObjectRemoved:Delete"))
    eventually(lambda: "by/redis.png" not in stack.known(), 60, stack.said)
    bucket.remove_object(BUCKET, "by/nothing.png")  # and one that no event reports
    assert json.loads(stack.wildtag("reconcile", "--json").stdout)["gone"] == 1
    eventually(lambda: set(stack.known()) == {"by/web hook+ü.png"}, 60, stack.said)
    assert set(stack.results()) == {"by/web hook+ü.png"}

    put(bucket, "never/there.png", "coffee.png")
    bucket.remove_object(BUCKET, "never/there.png")
    notify(stack, notification("never/there.png", "0" * 32))  # gone before it is fetched: no record of nothing
    stack.settled(1)


def test_a_bucket_that_comes_back_empty_keeps_its_records_until_its_objects_are_back(
    stack: Stack, bucket: Minio
) -> None:
    names = {"a.png": "chelsea.png", "b.png": "coffee.png", "c.png": "rocket.jpg"}

    def fill() -> dict[str, str]:
        return {key: put(bucket, key, name) for key, name in names.items()}

    def swept(*options: str) -> tuple[int, int, int]:
        report = json.loads(stack.wildtag("reconcile", "--json", *options).stdout)
        return report["sent"], report["gone"], len(report["held_removals"])

    def ready() -> list[dict[str, object]]:
        with urllib.request.urlopen(f"{stack.info().addresses['gateway']}/readyz", timeout=10) as answer:
            held: list[dict[str, object]] = json.loads(answer.read())["held_removals"]
        return held

    etags = fill()
    for key, etag in etags.items():
        notify(stack, notification(key, etag))
    before, feed = stack.settled(3), stack.feed_end()
    for key in names:
        bucket.remove_object(BUCKET, key)
    assert swept() == (0, 0, 1)
    assert [(hold["bucket"], hold["missing"], hold["known"]) for hold in ready()] == [(BUCKET, 3, 3)]
    assert "Removals are held: 3 of 3 objects" in stack.wildtag("status").stderr
    assert fill() == etags
    assert swept() == (0, 0, 0)
    assert ready() == []
    assert (stack.settled(3), stack.feed_end()) == (before, feed)  # nothing is tagged again, and nobody is told
    for key in names:
        bucket.remove_object(BUCKET, key)
    assert swept() == (0, 0, 1)
    assert swept("--confirm-removals") == (0, 3, 0)
    eventually(lambda: not stack.known(), 60, stack.said)


@pytest.mark.long
def test_what_other_servers_send_leads_to_the_right_records(stack: Stack, bucket: Minio) -> None:
    raw = other.ceph("ObjectCreated:Put", "x") | {"eventName": "ObjectCreated:Put"}
    raw["s3"]["bucket"]["name"] = BUCKET
    put(bucket, "a+b.png", "chelsea.png")
    raw["s3"]["object"]["key"] = "a+b.png"  # not encoded, and nothing says so
    assert notify(stack, other.dump({"Records": [raw]})) == 200
    assert "cat" in " ".join(labels(stack.settled(1)["a+b.png"]))

    put(bucket, "by sns.png", "coffee.png")
    assert notify(stack, other.sns(notification("by sns.png"))) == 200
    assert labels(stack.settled(2)["by sns.png"]) & {"espresso", "coffee"}

    put(bucket, "unnamed.png", "rocket.jpg")  # the next sweep is hours away
    assert notify(stack, other.rustfs_alpha(bucket=BUCKET)) == 202
    assert labels(stack.settled(3)["unnamed.png"]) & {"rocket", "missile"}
    rejected = stack.wildtag("events", "rejected", "--json").stdout
    assert "the key is empty" in json.loads(rejected.splitlines()[0])["reason"]

    bucket.remove_object(BUCKET, "by sns.png")
    notify(stack, notification("by sns.png", sequencer=9, kind="LifecycleExpiration:Delete"))
    eventually(lambda: set(stack.known()) == {"a+b.png", "unnamed.png"}, 60, stack.said)


@pytest.mark.long
def test_a_storm_of_repeated_and_shuffled_events_ends_in_the_state_of_the_bucket(stack: Stack, bucket: Minio) -> None:
    rng = random.Random(7)
    names = ["chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"]
    bodies: list[bytes] = []
    current: dict[str, str] = {}
    for step in range(1, 61):
        key = f"{rng.randrange(8)}.png"
        if key in current and rng.random() < 0.3:
            bucket.remove_object(BUCKET, key)
            del current[key]
            bodies.append(notification(key, sequencer=step, kind="ObjectRemoved:Delete"))
        else:
            current[key] = put(bucket, key, rng.choice(names))
            bodies.append(notification(key, current[key], step))
        bodies.append(notification(key, "x", step, kind="ObjectCreated:PutTagging"))
    storm = [body for body in bodies for _ in range(rng.randrange(1, 4))]
    rng.shuffle(storm)
    for body in storm:
        assert notify(stack, body) in (200, 202)
    records = stack.settled(len(current), patience=180)
    assert {key: record["etag"] for key, record in records.items()} == current
    assert {record["state"] for record in records.values()} == {"done"}
