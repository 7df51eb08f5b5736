"""A store, records in Redis, an index of images on Qdrant Edge, and the workers' side of its repair."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from tasks import pipeline
from tasks.message_parts import ObjectRef, Revision, Tag
from tasks.pipeline import PipelineOptions
from tests.unit.segmentation.world import RED, SPACE, Colours
from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry, ImageIndex, ImageLabels, image_id
from workers.images import image_requests, index_task
from workers.images.comparison import Comparison
from workers.images.findings import Findings
from workers.images.labels import labels_of
from workers.images.open_images import OpenImages
from workers.images.passes import Pass
from workers.images.verifier import Aside, Verifier
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record, State
from workers.lifecycle.record_reader import Records
from workers.lifecycle.record_versions import RecordVersions
from workers.redis.connection import Client
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.redis.rpc import RpcClient, answering
from workers.stages.fetching import fetch
from workers.stages.indexing import Indexing
from workers.stores.folder import FolderStore

REVISION = Revision(SPACE.id, "captions@1")
Handler = Callable[[str, bytes], None]


@dataclass
class Workers:
    """Handles each message where it is sent, as a worker would. ``away``: it is lost. ``sent``: the tasks."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:  # noqa: ARG002 -- the Protocol's
        self.sent.append((queue, task))
        if not self.away:
            self.handlers[task](request, data)


class World:
    """One bucket, one Redis, one index."""

    def __init__(self, client: Client, keys: Keys, home: Path) -> None:
        self.now, self.refilling = 1000.0, False
        self.monotonic: Callable[[], float] = time.monotonic
        self.client, self.keys, self.home = client, keys, home
        (home / "inbox").mkdir()
        self.store = FolderStore({"inbox": home / "inbox"})
        self.ledger, self.records = Ledger(client, keys, 1000), Records(client, keys)
        self.versions = RecordVersions(client, keys, SPACE.id)
        self.library = FolderImages(home / "images")
        self.open_images = OpenImages(lambda: self.library, SPACE.id, SPACE.dimension)
        self.encoder, self.workers = Colours(), Workers()
        self.health = Health(client, keys, lambda: self.now)
        self.rpc = RpcClient(self.workers, client, keys)
        self.late: list[str] = []
        self.aside = Aside(lambda: self.now)
        indexing = Indexing(
            client, keys, self.workers, self.health, lambda: self.open_images,  # type: ignore[arg-type] # only asks
            fetch=lambda refs: fetch(self.store, refs, 10**6, lambda _: True),
            embed=lambda batch, images: pipeline.embedding(batch, images, self.encoder, PipelineOptions()),
            retrieved=lambda _: None, judge=lambda _: (), stored=lambda oids: [b""] * len(oids),
            tag_again=self.late.extend, records=self.records.get, in_progress=self.versions.in_progress,
        )  # fmt: skip
        self.workers.handlers = {image_requests.TASK: self._images, index_task.TASK: indexing}

    @property
    def index(self) -> ImageIndex:
        return self.open_images.index()

    def verifier(self, batch_max: int = 4) -> Verifier:
        comparison = Comparison(self.versions.of, self.versions.moving, self.records.get, lambda: self.now + 100)
        refilling = lambda: self.refilling  # noqa: E731 -- short
        return Verifier(comparison, self.versions.pages, SPACE.id, batch_max, self.aside, refilling=refilling)

    def begin(self, verifier: Verifier, findings: Findings, *, repair: bool = True) -> Pass:
        idle = lambda: not self.versions.busy()  # noqa: E731 -- short
        return Pass(verifier.run(findings, repair=repair), self.rpc, self.health.beats, idle, self.monotonic)

    def verify(self, *, repair: bool, verifier: Verifier | None = None) -> Findings:
        """One verification to its end."""
        findings = Findings()
        running = self.begin(verifier or self.verifier(), findings, repair=repair)
        while not running.finished:
            running.advance(1.0)
        return findings

    def image(self, key: str, colour: tuple[int, int, int] = RED) -> ObjectRef:
        """An image in the store."""
        out = io.BytesIO()
        Image.new("RGB", (20, 20), colour).save(out, "PNG")
        return self.store.put("inbox", key, io.BytesIO(out.getvalue())).ref

    def enter(self, ref: ObjectRef) -> None:
        """Have the ledger accept it."""
        self.ledger.enter([Arrival(ref, force=True)], REVISION, self.now, self.now + 60)

    def tag(self, ref: ObjectRef, *labels: str, state: State = "done") -> Record:
        """Write its record."""
        record = Record(
            bucket=ref.bucket, key=ref.key, etag=ref.etag, state=state, space_id=REVISION.space_id,
            captions_version=REVISION.captions_version, tags=tuple(Tag(one, 0.9, 0.9, 0.9) for one in labels),
        )  # fmt: skip
        self.enter(ref)
        assert self.ledger.finish([record], self.now) == [True]
        return record

    def put(self, ref: ObjectRef, etag: str | None = None, labels: ImageLabels | None = None) -> None:
        """Put it into the index, with the labels of its record."""
        entry = ImageEntry(ref.bucket, ref.key, etag or ref.etag, REVISION.captions_version)
        self.index.put([entry], np.ones((1, SPACE.dimension), np.float32))
        (record,) = self.records.get([ref.id])
        if labels or record:
            assert record
            self.index.label([labels or labels_of(record)])

    def tagged(self, key: str, *labels: str) -> ObjectRef:
        """An image in the store that has a record and is in the index."""
        ref = self.image(key)
        self.tag(ref, *labels)
        self.put(ref)
        return ref

    def held(self) -> dict[str, tuple[str, tuple[str, ...], bool]]:
        """What the index has: key → ETag, tags, and whether there are words."""
        facts = self.index.facts_after(-1, 1000)
        return {fact.key: (fact.etag, fact.tags, fact.words > 0) for fact in facts}

    def wanted(self) -> dict[str, tuple[str, tuple[str, ...], bool]]:
        """What it should have, by the records."""
        done = [one for one in self.records.latest() if one.state == "done"]
        return {one.key: (one.etag, labels_of(one).tags, True) for one in done}

    def told(self) -> list[str]:
        """The entries of the feed and of the inboxes, and the records."""
        found: list[str] = [item.id for item in self.records.feed_page("0", 1000)]
        found += [record.json().decode() for record in self.records.latest()]
        return [*found, str(self.records.counts())]

    def _images(self, request: str, data: bytes) -> None:
        asked = image_requests.decode(data)

        def work() -> bytes:
            return msgspec.msgpack.encode(self.open_images.use(lambda index: image_requests.answer(index, asked)))

        answering(self.client, self.keys, request, work)


def id_of(ref: ObjectRef) -> int:
    return image_id(ref.bucket, ref.key)
