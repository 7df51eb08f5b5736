"""A change of the encoder without a gap where processes are started as Compose does, over a Qdrant server."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from minio import Minio

from ops.bench.moto_server import moto
from ops.bench.qdrant_rest import RestServer, rest_server
from tests.acceptance.by_hand import ByHand, by_hand
from tests.acceptance.images import photograph
from tests.contract.own_redis import OwnRedis
from workers.cli.encoder_elsewhere import start_lines

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ANY = "any-key"  # moto takes every pair of keys
BUCKET = "photos"
CAPTIONS = ("a cat", "a cup of coffee", "an astronaut", "a rocket", "a motorcycle", "a coin", "a sofa", "a red car")

PROCESSES = {
    "gateway": ("gateway",), "dispatcher": ("dispatcher",), "reconcile": ("reconcile", "--every", "2"),
    "worker": ("worker", "embedding", "retrieval", "extraction", "scoring"), "writer": ("writer",),
    "next-worker": ("encoder", "run", "worker"), "next-dispatcher": ("encoder", "run", "dispatcher"),
    "next-feeder": ("encoder", "run", "feeder"),
}  # fmt: skip


class World:
    """``hand``: the processes. ``bucket``, ``qdrant``, ``redis``: the servers."""

    def __init__(self, hand: ByHand, bucket: Minio, qdrant: RestServer, redis: Any) -> None:
        self.hand, self.bucket, self.qdrant, self.redis = hand, bucket, qdrant, redis

    def put(self, key: str, name: str) -> None:
        data = photograph(name)
        self.bucket.put_object(BUCKET, key, io.BytesIO(data), len(data), content_type="image/png")

    def caption(self, folder: Path) -> None:
        (folder / "captions.txt").write_text("\n".join(CAPTIONS))
        self.hand.wildtag("captions", "import", str(folder / "captions.txt"), "--name", "few", "--use")

    def begin(self, folder: Path) -> None:
        """Tag seven objects, and teach a label; the processes that prepare an encoder wait."""
        self.caption(folder)
        for number in range(2):
            for name in ("chelsea.png", "coffee.png", "astronaut.png"):
                self.put(f"{number}-{name}", name)
        self.bucket.put_object(BUCKET, "bad.png", io.BytesIO(b"no image"), 8)
        for name, arguments in PROCESSES.items():
            self.hand.start(name, *arguments)
        self.hand.until(lambda: len(self.hand.objects()) == 7)
        self.hand.until(lambda: len(self.sidecars()) == 6)
        self.hand.wildtag("teach", "0-chelsea.png", "Chelsea")

    def sidecars(self) -> dict[str, Any]:
        found = self.bucket.list_objects(BUCKET, "_wildtag/", recursive=True)
        bodies = {str(one.object_name): self.bucket.get_object(BUCKET, str(one.object_name)).data for one in found}
        read = {key: json.loads(data) for key, data in bodies.items() if key.endswith(".json")}
        return {key: body for key, body in read.items() if "space_id" in body}  # not the journal of statements

    def status(self) -> Any:
        return json.loads(self.hand.wildtag("encoder", "status", "--json").stdout)

    def collections(self) -> set[str]:
        return {one.name for one in self.qdrant.client.get_collections().collections}


@pytest.fixture
def world(prepared: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(prepared / "cache", tmp_path / "home" / "cache")
    server = OwnRedis()
    redis = server.start()
    with moto() as store, rest_server() as qdrant:
        bucket = Minio(urlsplit(store).netloc, ANY, ANY, secure=False, region="us-east-1")
        bucket.make_bucket(BUCKET)
        with by_hand(
            tmp_path, WILDTAG_REDIS_URL=server.url, WILDTAG_QDRANT_URL=qdrant.url, WILDTAG_QDRANT_GRPC_PORT="0",
            WILDTAG_S3_ENDPOINT=store, WILDTAG_S3_ACCESS_KEY=ANY, WILDTAG_S3_SECRET_KEY=ANY,
            WILDTAG_S3_REGION="us-east-1",
            WILDTAG_BUCKET=BUCKET, WILDTAG_LISTEN="false", WILDTAG_WRITE_BACK="sidecar",
            WILDTAG_OUTPUT_PREFIX="_wildtag/",
        ) as hand:  # fmt: skip
            yield World(hand, bucket, qdrant, redis)
    server.close()


class Reader(threading.Thread):
    """Reads records and searches all the time, as users do."""

    def __init__(self, hand: ByHand, keys: set[str]) -> None:
        super().__init__(daemon=True)
        self._hand, self._keys = hand, keys
        self.spaces: list[set[str]] = []
        self.faults: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):  # leaves the cores to the processes
            try:
                listed = self._hand.objects()
                if missing := self._keys - listed.keys():
                    self.faults.append(f"without a record: {missing}")
                self.spaces.append({one["space_id"] for one in listed.values() if one["state"] == "done"})
                if not self._hand.get("/v1/search?q=cat&limit=5")["images"]:
                    self.faults.append("nothing found")
            except OSError as exc:
                self.faults.append(repr(exc))


def test_the_encoder_changes_without_a_gap(world: World, tmp_path: Path) -> None:
    """Begin, backfill, new images, switch, side files, drop; no process of the stack is started again."""
    from tests.unit.encoders.models import save_model  # noqa: PLC0415 -- loads torch

    hand, model = world.hand, tmp_path / "model"
    save_model(model, "clip")
    world.begin(tmp_path)
    (old,) = {one["space_id"] for one in hand.objects().values() if one["state"] == "done"}
    before = world.collections()
    reader = Reader(hand, set(hand.objects()))
    reader.start()
    try:
        begun = hand.wildtag("encoder", "begin", str(model))
        assert all(line in begun.stdout for line in start_lines())  # which command to run next
        world.put("during.png", "rocket.jpg")
        hand.until(lambda: (c := world.status()["change"])["prepared"] == 7 and not c["missing"], 240)
        state = world.status()
        assert (state["space"], state["change"]["refused"], state["change"]["feeder"]["fault"]) == (old, [], "")
        assert reader.spaces[-1] == {old}  # it serves as before
        switched = hand.wildtag("encoder", "switch", "--feed-rate", "5")
        assert "at 5 a second" in switched.stdout
        (new,) = {one["space_id"] for one in hand.objects().values() if one["state"] == "done"}
        assert new == state["change"]["space"] != old
        world.put("after.png", "rocket.jpg")
        hand.until(lambda: "after.png" in hand.objects())
        time.sleep(1)  # some further reads, by the thread
    finally:
        reader.over.set()
        reader.join(60)
    assert reader.faults == []
    assert all(len(spaces) == 1 for spaces in reader.spaces)  # in no answer both
    assert len([one for one, other in zip(reader.spaces, reader.spaces[1:], strict=False) if one != other]) == 1
    after = hand.objects()
    assert {one["space_id"] for one in after.values() if one["state"] == "done"} == {new}
    assert after["1-chelsea.png"]["tags"][0]["label"] == "Chelsea"  # by the exemplar, in the new space
    hand.until(lambda: {one["space_id"] for one in world.sidecars().values()} == {new})  # by the feed
    hand.until(lambda: world.status()["feed"] is None)
    assert not list(world.redis.scan_iter("wildtag:next:*"))
    # the model was loaded in place; of the other pipeline only the worker is started again, and waits
    hand.look()
    assert set(hand.ends) <= {"next-worker"}, hand.said()
    dropped = hand.wildtag("encoder", "drop", old)
    assert "Freed" in dropped.stdout
    assert [name for name in before if old in name]
    assert not [name for name in world.collections() if old in name]
    found = [json.loads(line) for line in hand.wildtag("find", "Chelsea", "--json").stdout.splitlines()]
    assert {"0-chelsea.png", "1-chelsea.png"} <= {one["key"] for one in found}


def test_it_is_given_up(world: World, tmp_path: Path) -> None:
    """Nothing of it is left, in Redis or on the Qdrant server."""
    from tests.unit.encoders.models import save_model  # noqa: PLC0415 -- loads torch

    hand, model = world.hand, tmp_path / "model"
    save_model(model, "clip")
    world.caption(tmp_path)
    before, keys = world.collections(), set(world.redis.scan_iter())
    hand.wildtag("encoder", "begin", str(model))
    hand.start("next-feeder", "encoder", "run", "feeder")
    refused = hand.wildtag("encoder", "switch", check=False)
    assert refused.returncode == 1
    hand.until(lambda: len(world.collections()) > len(before))
    hand.wildtag("encoder", "abort")
    assert world.collections() == before
    assert not list(world.redis.scan_iter("wildtag:next:*"))
    hand.until(lambda: "waiting for the next encoder" in hand.said())
    assert hand.ends == {}
    assert {key for key in world.redis.scan_iter() if b"encoder" in key} <= keys
