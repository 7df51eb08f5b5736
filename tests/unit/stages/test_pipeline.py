"""Shows that bad images leave their neighbours alone, and that messages between the stages lose nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from tasks.cache import LRUCache
from tasks.embedding import embed
from tasks.extraction import extract, extractor
from tasks.messages import Embedded, Extracted, Retrieved, Scored, Submitted, UnreadableMessage, WrongSpace
from tasks.pipeline import Pipeline, PipelineOptions
from tasks.retrieval import retrieve
from tasks.scoring import score
from tests.unit.stages.made_up import SPACE, MadeUpImages, MadeUpText, index_of, picture, references, submitted

RED, BLUE, BLACK = picture((255, 0, 0)), picture((0, 0, 255)), picture((0, 0, 0))


def pipeline(pipeline_options: PipelineOptions = PipelineOptions()) -> Pipeline:  # noqa: B008 -- frozen
    return Pipeline(MadeUpImages(), MadeUpText(), index_of(), "1", pipeline_options=pipeline_options)


def test_bad_images_become_faults_and_the_rest_goes_on() -> None:
    encoder = MadeUpImages()
    batch, faults = embed(submitted(6), [RED, b"", b"no image", RED[:40], BLACK, BLUE], encoder)
    assert [ref.key for ref in batch.objects] == ["0.png", "5.png"]
    assert {fault.object.key: fault.code for fault in faults}.keys() == {"1.png", "2.png", "3.png", "4.png"}
    assert {fault.object.key: fault.code for fault in faults}["1.png"] == "empty"
    assert {fault.object.key: fault.code for fault in faults}["4.png"] == "no-vector"
    assert all(len(fault.reason) > 10 for fault in faults)
    assert encoder.calls == 1
    alone, _ = embed(submitted(1), [RED], encoder)
    assert np.array_equal(alone.vectors.array()[0], batch.vectors.array()[0])


def test_an_image_that_is_too_large_is_refused_unopened() -> None:
    batch, faults = embed(submitted(2), [RED, BLUE], MadeUpImages(), max_pixels=15)
    assert (batch.objects, [fault.code for fault in faults]) == ((), ["too-many-pixels"] * 2)


def test_very_large_images_are_not_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    together, _ = embed(submitted(4), [RED, BLUE, RED, BLUE], MadeUpImages())
    monkeypatch.setattr("tasks.embedding.HELD", 20)
    encoder = MadeUpImages()
    apart, _ = embed(submitted(4), [RED, BLUE, RED, BLUE], encoder)
    assert encoder.calls == 4
    assert apart == together


def test_a_batch_of_bad_images_is_an_empty_batch_to_the_end() -> None:
    scored, faults = pipeline().run(submitted(2), [b"", b"x"])
    assert (scored.objects, scored.tags, scored.hits, len(faults)) == ((), (), (), 2)
    assert pipeline().run(submitted(0), [])[0].tags == ()


def test_an_encoder_of_another_space_is_refused() -> None:
    with pytest.raises(WrongSpace, match="submitted for space made-up"):
        embed(submitted(1), [RED], MadeUpImages(replace(SPACE, id="other")))


def test_stages_one_after_the_other_through_their_messages_give_what_the_pipeline_gives() -> None:
    images = [RED, BLUE, picture((1, 2, 3))]
    whole, _ = pipeline(PipelineOptions(max_tags=4, alpha=0.6)).run(submitted(3), images)

    cache = LRUCache(1000)
    embedded, _ = embed(Submitted.decode(submitted(3).encode()), images, MadeUpImages())
    retrieved = retrieve(Embedded.decode(embedded.encode()), index_of())
    extracted = extract(Retrieved.decode(retrieved.encode()), extractor(), cache)
    scored = score(Extracted.decode(extracted.encode()), MadeUpText(), cache, max_tags=4, alpha=0.6)
    assert Scored.decode(scored.encode()) == whole
    assert [len(tags) for tags in whole.tags] == [4, 4, 4]
    with pytest.raises(UnreadableMessage):
        Scored.decode(extracted.encode())


def test_every_tag_names_the_captions_that_hold_it() -> None:
    scored, _ = pipeline(PipelineOptions(max_tags=None)).run(submitted(1), [RED])
    captions = [hit.caption.lower() for hit in scored.hits[0]]
    assert scored.tags[0]
    for tag in scored.tags[0]:
        assert tag.evidence
        assert all(tag.label.split()[-1][:3] in captions[at] for at in tag.evidence)


def test_an_empty_database_leaves_every_image_unknown() -> None:
    bare = Pipeline(MadeUpImages(), MadeUpText(), index_of(()), "1")
    assert bare.run(submitted(1), [RED])[0].tags == ((),)


def test_timings_are_taken_with_the_clock_that_is_given() -> None:
    ticks = count()
    timed = replace(pipeline(), clock=lambda: float(next(ticks)))
    stages = ["embedding", "retrieval", "extraction", "scoring"]
    assert timed.run(timed.submit(references(1)), [RED])[0].timings_ms == dict.fromkeys(stages, 1000.0)
    assert pipeline().run(submitted(1), [RED])[0].timings_ms == {}
