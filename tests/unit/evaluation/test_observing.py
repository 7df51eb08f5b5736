"""Shows that the features that a fit sees are those that tagging uses, and which tags are called right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.confidence import FEATURES, ConfidenceModel
from tasks.evaluation.acceptance import Acceptance
from tasks.evaluation.manifest import Item
from tasks.evaluation.methods import Tools
from tasks.evaluation.observing import TooFewCaptions, observed
from tasks.evaluation.run import Source
from tasks.extraction import extractor
from tasks.message_parts import Floats, Revision
from tasks.pipeline import Pipeline, PipelineOptions
from tests.unit.stages.made_up import SPACE, MadeUpImages, MadeUpText, index_of, picture, submitted, vector_of
from vectordb.index import sample
from workers.evaluation.calibrating import LEVELS, Level, chosen_level

FILES = {"1": picture((255, 0, 0)), "bad": b"text", "2": picture((0, 0, 255))}
MODEL = ConfidenceModel(
    space_id=SPACE.id, features=FEATURES, centres=(0.0,) * 5, scales=(1.0,) * 5, weights=(3.0, 1.0, 1.0, -1.0, 1.0),
    intercept=2.0, threshold=0.4,
)  # fmt: skip


def encode(texts: Sequence[str]) -> Floats:
    return np.stack([vector_of(text) for text in texts])


def test_a_fit_sees_the_features_that_tagging_uses() -> None:
    index, options = index_of(), PipelineOptions()
    background = sample(index, 1)
    tools = Tools(index, MadeUpText(), extractor(), options, [], background_vectors=background)
    source = Source(lambda path: FILES[path.name], MadeUpImages(), Revision(SPACE.id, "1"), options, batch=2)
    items = [Item(Path(name), "no such thing", f"line {at}", ("dog",)) for at, name in enumerate(FILES, 2)]
    seen = observed(items, source, tools, Acceptance(encode))
    assert [one.where for one in seen.skipped] == ["line 3"]
    assert sorted(set(seen.image.tolist())) == [0, 2]
    pipeline = Pipeline(
        MadeUpImages(), MadeUpText(), index, "1", pipeline_options=replace(options, max_tags=None),
        background_vectors=background, judge=MODEL,
    )  # fmt: skip
    scored, _ = pipeline.run(submitted(2), [FILES["1"], FILES["2"]])
    for number, tags in zip((0, 2), scored.tags, strict=True):
        own = seen.image == number
        expected = sorted(tag.confidence or 0 for tag in tags)
        assert sorted(MODEL.confidences(seen.features[own]).tolist()) == pytest.approx(expected)
        named = sum("dog" in tag.label.split() or "dogs" in tag.label.split() for tag in tags)
        assert int(seen.right[own].sum()) >= named


def test_a_database_without_a_sample_is_refused() -> None:
    index = index_of()
    tools = Tools(index, MadeUpText(), extractor(), PipelineOptions(), [], background_vectors=sample(index))
    source = Source(lambda path: FILES[path.name], MadeUpImages(), Revision(SPACE.id, "1"), PipelineOptions())
    with pytest.raises(TooFewCaptions, match="256 captions"):
        observed([Item(Path("1"), "dog", "line 2")], source, tools, Acceptance(encode))


def test_the_default_minimum_is_the_lowest_that_is_precise_enough() -> None:
    shares = {0.3: 0.6, 0.4: 0.72, 0.5: 0.71, 0.6: 0.8}
    levels = [Level(at, 1.0, right, 0.0, 0.5, 0.5) for at, right in shares.items()]
    assert chosen_level(levels, 0.7) == 0.4
    assert chosen_level(levels, 0.75) == 0.6
    assert chosen_level(levels, 0.9) == 0.6
    assert list(LEVELS) == sorted(LEVELS)
