"""One process with everything from the inbox to the record of a segmented object, in a world of colours."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from PIL import Image

from tasks.cache import LRUCache
from tasks.extraction import Extractor, extractor
from tests.contract.queues import Queues
from tests.unit.segmentation.world import BLUE, CHOICES, RED, SPACE, Colours, Texts, halves, pipeline
from vectordb.index import IndexMissing
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.record import Record
from workers.settings.settings import SEGMENTATION, STAGES, Settings
from workers.wiring.dispatch import dispatcher, keeper
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring


@cache
def shared_extractor() -> Extractor:
    """One for all worlds: each loads spaCy's model, which takes most of the time of a short test."""
    return extractor()


class Versions:
    """Captions that may be dropped."""

    def __init__(self) -> None:
        self.dropped: set[str] = set()

    def open(self, version: str) -> Any:
        if version in self.dropped:
            raise IndexMissing(version)
        return pipeline().index

    def thresholds(self, version: str) -> None:
        """None were derived."""

    def release(self, version: str) -> None:
        pass


@dataclass
class World:
    """One process with everything from the inbox to the record, in a world of colours. ``now``: Unix seconds."""

    settings: Settings
    now: float = 1_800_000_000.0
    versions: Versions = field(default_factory=Versions)

    def __post_init__(self) -> None:
        wiring: Any = Wiring(self.settings, lambda: self.now)
        self.wiring = wiring
        self.version = "captions@1"
        self.queues = self.wiring.publisher = Queues()
        self.wiring.space, self.wiring.image_encoder, self.wiring.text_encoder = SPACE, Colours(), Texts()
        self.wiring.chosen, self.wiring.reference_vectors, self.wiring.indexes = (
            lambda: self.version,
            None,
            self.versions,
        )
        self.wiring.pipeline_options, self.wiring.cache = CHOICES, LRUCache(1000)
        self.wiring.options_for = lambda _: CHOICES
        self.wiring.extractor = shared_extractor()
        self.stages = stage_worker(self.wiring).runner
        self.dispatcher: Any = dispatcher(self.wiring, "me")  # tests replace what it sends by
        self.keeper = keeper(self.wiring)
        for inbox in (self.wiring.inbox, self.wiring.low_priority_inbox):
            inbox.prepare()

    def put(self, key: str, image: Image.Image | bytes | None = None) -> str:
        """Put an object and send its event. Returns its ETag."""
        file = io.BytesIO(image) if isinstance(image, bytes) else io.BytesIO()
        if not isinstance(image, bytes):
            (image or halves(RED, BLUE)).save(file, "PNG")
            file.seek(0)
        info = self.wiring.store.put("inbox", key, file)
        self.wiring.inbox.append([ObjectEvent.seen(info)])
        return str(info.ref.etag)

    def request_segmentation(self, key: str, method: str = "dense") -> None:
        self.wiring.segmentation_requests.ask([f"inbox/{key}"], method)

    def again(self, key: str) -> None:
        self.wiring.inbox.append([ObjectEvent("created", "inbox", key, force=True)])

    def remove(self, key: str) -> None:
        self.wiring.store.remove("inbox", key)
        self.wiring.inbox.append([ObjectEvent("removed", "inbox", key)])

    def settle(self, until: Callable[[], bool] = lambda: False) -> None:
        """Work until nothing is to be done at once, or a condition holds."""
        for _ in range(200):
            self.now += 0.01
            self.dispatcher.step(1)
            if until():
                return
            if not self.queues.sent and not self.wiring.inbox.length() and not self.waiting():
                return
            while self.queues.sent and not until():
                stage, batch, retries = self.queues.sent.pop(0)
                self.stages.run(stage, batch.encode(), retries)
        raise AssertionError("it goes on for ever")

    def record(self, key: str) -> Record:
        found: list[Record | None] = self.wiring.records.get([f"inbox/{key}"])
        assert found[0] is not None
        return found[0]

    def waiting(self) -> int:
        """Objects that wait for their turn to be segmented."""
        return int(self.wiring.records.counts()["segments"])

    def final(self) -> list[tuple[str, str, str]]:
        """All final words of the feed: key, state and method."""
        written = [item.record for item in self.wiring.records.feed_page("0-0", 1000)]
        return [(found.key, found.state, found.segmentation_method) for found in written if found is not None]

    def pass_by(self, seconds: float) -> None:
        """The keeper's look after so long, in which every stage makes progress."""
        self.now += seconds
        for stage in (*STAGES, SEGMENTATION):
            self.wiring.health.beat(stage)
        self.keeper.step()

    def artifacts(self) -> list[str]:
        """The files under the output prefix."""
        root = self.settings.inbox_folder / ".wildtag"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
