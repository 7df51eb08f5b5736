"""The Python client and the gateway's own process understand each other. The stages are played by a thread."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC
from itertools import islice
from pathlib import Path

import pytest

from tasks.message_parts import ObjectRef, Revision, Tag, UserMetadata
from tests import warm
from tests.acceptance.images import one_pixel
from tests.contract.own_redis import OwnRedis
from workers.client import Client, NotFinished, Refused
from workers.embedded.ports import free_port
from workers.embedded.stack import command
from workers.gateway.api_keys import Scope
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.record import Record
from workers.settings.settings import Settings
from workers.stores.user_metadata import BadMetadata
from workers.wiring.wiring import Wiring

REVISION = Revision("space", "captions@1")
LIMIT = 200_000  # bytes of an image


class Stages(threading.Thread):
    """Takes objects from the inbox and gives each a record with the tag ``cat``, or holds them back."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(daemon=True)
        self._wiring = wiring
        self.stopped = threading.Event()
        self.working = threading.Event()
        self.working.set()

    def run(self) -> None:
        inbox, ledger = self._wiring.inbox, self._wiring.ledger
        inbox.prepare()
        while not self.stopped.is_set():
            for entry, event in inbox.read("me", 10, 50):
                self.working.wait(60)
                if event.kind == "removed":
                    ledger.remove([event.id])
                elif (info := self._wiring.store.stat(event.bucket, event.key)) is not None:
                    self._finish(info.ref, force=event.force)
                inbox.done([entry])

    def _finish(self, ref: ObjectRef, *, force: bool) -> None:
        now = self._wiring.clock()
        self._wiring.ledger.enter([Arrival(ref, verified=True, force=force)], REVISION, now, now + 60)
        record = Record(
            bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", tags=(Tag("cat", 0.9, 0.9, 0.9),),
            space_id=REVISION.space_id, captions_version=REVISION.captions_version, finished_at=now,
        )  # fmt: skip
        self._wiring.ledger.finish([record], now)


class Gateway:
    """The process, which can be killed and started again at the same address."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"http://127.0.0.1:{settings.gateway_port}"
        self._environment = {**settings.process_environment(), "WILDTAG_KEY_REQUIRED": "true"}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(command("gateway"), env=self._environment)
        with Client(self.url, patience=60) as client, pytest.raises(Refused, match="API key"):
            client.get("0" * 32)  # once it listens

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)


@pytest.fixture(scope="module")
def wiring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wiring]:
    redis = OwnRedis()
    redis.start()
    home = tmp_path_factory.mktemp("home")
    (home / "inbox").mkdir()
    made = Wiring(Settings(
        home=home, redis_url=redis.url, key_prefix="test:", gateway_port=free_port(0), max_object_bytes=LIMIT,
        admin_key="an-admin-key-of-tests",
    ))  # fmt: skip
    made.layout.require()  # before the stages below write keys
    yield made
    redis.close()


@pytest.fixture(scope="module")
def stages(wiring: Wiring) -> Iterator[Stages]:
    made = Stages(wiring)
    made.start()
    yield made
    made.working.set()
    made.stopped.set()
    made.join(10)


@pytest.fixture(scope="module")
def gateway(wiring: Wiring, stages: Stages) -> Iterator[Gateway]:
    assert stages.is_alive()
    made = Gateway(wiring.settings)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def key(wiring: Wiring) -> str:
    return wiring.api_keys.create("tests", Scope.WRITE)


@pytest.fixture
def client(gateway: Gateway, key: str) -> Iterator[Client]:
    with Client(gateway.url, key) as made:
        yield made


def png(of: str, size: int = 0) -> bytes:
    """An image of its own."""
    return one_pixel() + of.encode() + bytes(size)


@pytest.mark.parametrize("metadata", [{"title": "Sonne\u202f& Meer?", "Order": "A 1"}, {"text": "й" * 1022}])
def test_what_describes_an_image_arrives_as_it_was_given(
    client: Client, wiring: Wiring, tmp_path: Path, metadata: dict[str, str]
) -> None:
    file = tmp_path / "Käse & Brot.png"
    file.write_bytes(png("described"))
    image = client.upload(file, client_id="a/ü" if "title" in metadata else None, metadata=metadata)
    info = wiring.store.stat(image.bucket, image.key)
    assert info is not None
    assert info.user_metadata == UserMetadata(
        "Käse & Brot.png", "a/ü" if "title" in metadata else None, tuple(sorted(metadata.items()))
    )
    with pytest.raises(BadMetadata, match="the limit is 2,048"):
        client.upload(file, metadata={"text": "x" * 2048})


def test_an_image_goes_up_and_its_tags_come_back(client: Client) -> None:
    image = client.upload(png("one"), wait=30)
    assert image.record is not None
    assert [tag.label for tag in image.record.tags] == ["cat"]
    assert client.get(image.id) == image
    assert image.record in [found.record for found in client.tagged("cat", min_score=0.5)]
    assert not list(client.tagged("cat", min_score=0.95))


def test_every_step_is_heard_of(client: Client, stages: Stages) -> None:
    stages.working.clear()
    try:
        image = client.upload(png("steps"))
        with pytest.raises(NotFinished, match="queued"):
            client.wait(image.id, 0.5)
        heard: list[str] = []

        def on_change(image: object) -> None:
            heard.append(getattr(image, "state", ""))
            stages.working.set()

        assert client.wait(image.id, 30, on_change=on_change).final
    finally:
        stages.working.set()
    assert (heard[0], heard[-1]) == ("queued", "done")


def test_what_is_sent_twice_is_stored_once(client: Client, wiring: Wiring) -> None:
    image = client.upload(png("twice", 100_000), idempotency_key="twice")
    assert client.upload(png("twice", 100_000), idempotency_key="twice").id == image.id
    assert len(list(wiring.settings.inbox_folder.rglob(f"{image.id}*"))) == 1
    with pytest.raises(Refused) as caught:
        client.upload(png("other"), idempotency_key="twice")
    assert (caught.value.type, caught.value.status) == ("mismatch", 422)


@pytest.mark.parametrize("size", [LIMIT, 2**24])
def test_an_image_that_is_too_large_is_refused_for_that(client: Client, size: int) -> None:
    with pytest.raises(Refused) as caught:
        client.upload(png("large", size))
    assert (caught.value.type, caught.value.status) == ("too-large", 413)


def test_what_is_no_image_is_refused(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        client.upload(b"no image")
    assert (caught.value.type, caught.value.status) == ("not-an-image", 415)


def test_an_image_is_tagged_again_and_removed(client: Client) -> None:
    image = client.upload(png("again"), wait=30)
    before = client.retag(image.id)
    assert (before.state, before.previous) == ("queued", image.record)
    again = client.wait(image.id, 30)
    assert image.finished_at is not None
    assert again.finished_at is not None
    assert again.finished_at > image.finished_at
    assert again.finished_at.tzinfo is UTC
    assert client.delete(image.id)
    assert not client.delete(image.id)


def test_the_feed_tells_of_it_and_goes_on_behind_an_entry(client: Client, wiring: Wiring) -> None:
    before = wiring.records.feed_end()
    ids = [client.upload(png(f"feed {number}"), wait=30).id for number in range(2)]
    # what other tests removed may be told meanwhile
    told = (news for news in client.feed(before) if news.key.rpartition("/")[2] in ids)
    first, second = islice(told, 2)
    assert [news.key.rpartition("/")[2] for news in (first, second)] == ids
    assert next(client.feed(first.id)) == second


def test_a_key_that_may_only_read_uploads_nothing(gateway: Gateway, wiring: Wiring) -> None:
    with Client(gateway.url, wiring.api_keys.create("reader", Scope.READ)) as reader:
        list(reader.tagged("cat"))
        with pytest.raises(Refused) as caught:
            reader.upload(png("forbidden"))
    assert (caught.value.type, caught.value.status) == ("forbidden", 403)


def test_the_gateway_may_be_killed_while_an_image_is_waited_for(
    gateway: Gateway, client: Client, stages: Stages
) -> None:
    stages.working.clear()
    try:
        image = client.upload(png("killed"))
        found: list[bool] = []
        waiting = threading.Thread(target=lambda: found.append(client.wait(image.id, 60).final))
        waiting.start()
        gateway.kill()
        gateway.start()
    finally:
        stages.working.set()
    waiting.join(60)
    assert found == [True]


def test_the_command_sends_a_folder(gateway: Gateway, key: str, tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(png(str(number), 10_000))
    (tmp_path / "large.png").write_bytes(png("large", LIMIT))
    environment = {**os.environ, "WILDTAG_API_KEY": key}
    run = warm.wildtag("upload", "-r", str(tmp_path), "--wait", "--json", "--url", gateway.url, env=environment)
    results = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 1
    assert sum(line["state"] == "done" for line in results) == 12
    assert [line["error"]["code"] for line in results if line["error"]] == ["too-large"]
