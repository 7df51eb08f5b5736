"""The thresholds of the captions that an image was tagged with reach scoring, whatever is in use by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tasks.cache import LRUCache
from tasks.evaluation.locating import Whole
from tasks.extraction import extract
from tasks.message_parts import DerivedThresholds, Floats
from tasks.messages import Extracted, Retrieved, Scored
from tasks.pipeline import PipelineOptions
from tests.unit.stages.made_up import CAPTIONS, SPACE, MadeUpText, embedded, index_of, random_units
from vectordb.image_folder import FolderImages
from vectordb.index import CaptionIndex
from workers.captions.versions import OpenIndexes
from workers.images.open_images import OpenImages
from workers.stages.handover import Handover
from workers.stages.work import Retrieval, Scoring

DERIVED = {"1": DerivedThresholds(unknown=0.9, synonym=0.8, prompts="x"), "2": None}


class Indexes:
    def open(self, captions_version: str) -> CaptionIndex:
        assert captions_version in DERIVED
        return index_of(CAPTIONS)

    def background(self, _: str) -> Floats:
        return random_units(0, 0)

    def thresholds(self, captions_version: str) -> DerivedThresholds | None:
        return DERIVED[captions_version]


class Taken:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def hand_on(self, _: str, message: Any) -> None:
        self.messages.append(message)

    def finish(self, message: Any, _: object) -> None:
        self.messages.append(message)


def test_they_go_with_the_message(tmp_path: Path) -> None:
    taken, asked = Taken(), list[DerivedThresholds | None]()
    images = OpenImages(lambda: FolderImages(tmp_path), "space", SPACE.dimension)
    retrieval = Retrieval(
        cast("OpenIndexes", Indexes()), images, lambda: "2", None, PipelineOptions(), cast("Handover", taken),
        embedded_at_once=16,
    )  # fmt: skip
    retrieval(embedded(random_units(3, 2)), cast("Any", None))
    (retrieved,) = taken.messages
    assert Retrieved.decode(retrieved.encode()).thresholds == DERIVED["1"]
    extracted = extract(retrieved, Whole(), LRUCache(10))
    assert Extracted.decode(extracted.encode()).thresholds == DERIVED["1"]

    def options(derived: DerivedThresholds | None) -> PipelineOptions:
        asked.append(derived)
        return PipelineOptions(unknown_similarity=1.0)

    scoring = Scoring(MadeUpText(SPACE), LRUCache(10), options, None, cast("Handover", taken))
    scoring(extracted, cast("Any", None))
    assert asked == [DERIVED["1"]]
    scored = taken.messages[-1]
    assert isinstance(scored, Scored)
    assert scored.tags == ((), ())
