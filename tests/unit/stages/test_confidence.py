"""Shows what confidences depend on, in which direction, and that they decide which tags are shown."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.cache import LRUCache
from tasks.confidence import FEATURES, BadConfidenceModel, ConfidenceModel, features, load, shipped
from tasks.encoders import space_of
from tasks.message_parts import Background, Candidate, Hit
from tasks.messages import Extracted, Scored
from tasks.pipeline import PipelineOptions, retrieval
from tasks.retrieval import retrieve
from tasks.scoring import score
from tests.unit.stages.made_up import SPACE, MadeUpText, embedded, extracted, index_of, random_units, vector_of
from vectordb.index import sample

MODEL = ConfidenceModel(
    space_id=SPACE.id, features=FEATURES, centres=(0.0,) * 5, scales=(1.0,) * 5, weights=(3.0, 1.0, 1.0, -1.0, 1.0),
    intercept=2.0, threshold=0.4,
)  # fmt: skip
BEHIND = Background(0.1, 0.1)
cosines = st.floats(-1, 1)


def batch(labels: str = "abcdefgh") -> Extracted:
    return msgspec.structs.replace(
        extracted(random_units(3, 1), random_units(4, 1), [list(labels)]), backgrounds=(BEHIND,)
    )


def scored(one: Extracted, **options: object) -> Scored:
    return score(one, MadeUpText(), LRUCache(100), judge=MODEL, **options)  # type: ignore[arg-type]  # any option


def test_tags_are_ordered_by_confidence_and_their_scores_stay() -> None:
    plain = score(batch(), MadeUpText(), LRUCache(100), max_tags=None).tags[0]
    tags = scored(batch(), max_tags=None).tags[0]
    sure = [tag.confidence or 0.0 for tag in tags]
    assert sure == sorted(sure, reverse=True)
    assert all(0 < one < 1 for one in sure)
    assert {replace_confidence(tag) for tag in tags} == set(plain)
    assert [tag.strength for tag in tags] == sure
    assert [tag.strength for tag in plain] == [tag.score for tag in plain]


def replace_confidence(tag: object) -> object:
    return msgspec.structs.replace(tag, confidence=None)  # type: ignore[type-var]  # a struct


def test_the_minimum_decides_and_the_number_only_limits() -> None:
    everything = scored(batch(), max_tags=None).tags[0]
    least = everything[2].confidence or 0.0
    assert scored(batch(), max_tags=None, min_confidence=least).tags[0] == everything[:3]
    assert scored(batch(), max_tags=2, min_confidence=least).tags[0] == everything[:2]
    assert scored(batch(), min_confidence=1.0).tags[0] == ()


@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_higher_minimum_never_shows_more(low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert set(scored(batch(), min_confidence=high).tags[0]) <= set(scored(batch(), min_confidence=low).tags[0])


@given(seed=st.integers(0, 99), labels=st.text("abcdefgh", min_size=1, max_size=8))
def test_tags_are_in_the_order_of_their_confidences(seed: int, labels: str) -> None:
    one = msgspec.structs.replace(
        extracted(random_units(seed, 1), random_units(seed + 1, 1), [sorted(set(labels))]), backgrounds=(BEHIND,)
    )
    sure = [tag.confidence or 0.0 for tag in scored(one, max_tags=None).tags[0]]
    assert sure == sorted(sure, reverse=True)


@given(
    seed=st.integers(0, 99), wrong=st.sampled_from("abcd"), similarity=st.floats(-1, 0.5), own=st.sampled_from("xyz"),
)  # fmt: skip
def test_an_irrelevant_caption_raises_no_confidence(seed: int, wrong: str, similarity: float, own: str) -> None:
    before = msgspec.structs.replace(
        extracted(random_units(seed, 1), random_units(seed + 1, 1), [list("abcd")]), backgrounds=(BEHIND,)
    )
    # it is not nearer than what was found, names something of its own, and one of the earlier tags as well
    candidates = (
        *(Candidate(one.label, (0, 1) if one.label == wrong else one.evidence) for one in before.candidates[0]),
        Candidate(own, (1,)),
    )
    hits = (*before.hits[0], Hit(1, "irrelevant", similarity))
    after = msgspec.structs.replace(before, hits=(hits,), candidates=(candidates,))
    base, more = (
        {tag.label: tag.confidence or 0.0 for tag in scored(one, max_tags=None).tags[0]} for one in (before, after)
    )
    assert {label: sure for label, sure in base.items() if more[label] > sure} == {}


def test_without_a_model_or_backgrounds_nothing_changes() -> None:
    plain = extracted(random_units(3, 1), random_units(4, 1), [list("abcdefgh")])
    expected = score(plain, MadeUpText(), LRUCache(100), min_confidence=0.9)
    assert scored(plain, min_confidence=0.9).tags == expected.tags
    assert score(batch(), MadeUpText(), LRUCache(100), min_confidence=0.9).tags == expected.tags
    assert all(tag.confidence is None for tag in expected.tags[0])


def test_an_image_that_shows_nothing_gets_no_tags_if_that_is_asked() -> None:
    empty = msgspec.structs.replace(batch(), featureless=(True,))
    assert scored(empty, detect_featureless=True).tags == ((),)
    assert scored(empty).tags == scored(batch()).tags


@given(
    similarity=cosines, evidence=cosines, share=st.floats(0, 1), mean=cosines, spread=st.floats(0, 1),
    more=st.floats(0.01, 0.5),
)  # fmt: skip
def test_the_shipped_model_trusts_evidence_and_distrusts_what_is_near_to_everything(
    similarity: float, evidence: float, share: float, mean: float, spread: float, more: float
) -> None:
    model = shipped(space_of("bundled").id)
    assert model is not None

    def sure(nearer: float, better: float, larger: float, behind: float) -> float:
        rows = features(
            [similarity + nearer], [evidence + better], [share + larger], Background(mean + behind, spread)
        )
        return float(model.confidences(rows)[0])

    base = sure(0, 0, 0, 0)
    assert min(sure(more, 0, 0, 0), sure(0, more, 0, 0), sure(0, 0, more, 0)) >= base
    assert sure(0, 0, 0, more) <= base


def test_a_caption_that_is_not_retrieved_changes_no_confidence() -> None:
    index = index_of()
    background, image = sample(index, 1), embedded(vector_of("a tabby cat")[None])
    before = retrieve(image, index, limit=3, background_vectors=background)
    index.add([next(iter(index.pages()))[0][0].of("an irrelevant caption")], -vector_of("a tabby cat")[None])
    assert retrieve(image, index, limit=3, background_vectors=background) == before


def test_backgrounds_are_the_mean_and_deviation_over_a_sample() -> None:
    index, vectors = index_of(), random_units(5, 3)
    found = retrieval(embedded(vectors), index, PipelineOptions(), background_vectors=sample(index, 1))
    similarities = vectors.astype(float) @ sample(index, 1).astype(float).T
    assert [one.mean for one in found.backgrounds] == pytest.approx(similarities.mean(axis=1), abs=1e-6)
    assert [one.spread for one in found.backgrounds] == pytest.approx(similarities.std(axis=1), abs=1e-6)
    assert retrieval(embedded(vectors), index, PipelineOptions()).backgrounds == ()
    empty = index_of(())
    assert (
        retrieval(embedded(vectors), empty, PipelineOptions(), background_vectors=sample(empty, 1)).backgrounds == ()
    )


def test_a_few_captions_are_no_sample() -> None:
    assert sample(index_of()).shape == (0, SPACE.dimension)
    assert retrieve(embedded(random_units(5, 1)), index_of(), background_vectors=sample(index_of())).backgrounds == ()


def test_a_model_of_another_space_or_with_odd_numbers_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_bytes(msgspec.json.encode(MODEL))
    assert load(file, SPACE.id) == MODEL
    with pytest.raises(BadConfidenceModel, match="belongs to the space"):
        load(file, "other")
    body = msgspec.to_builtins(MODEL)
    for wrong in ({"features": ["score"]}, {"scales": [0.0] * 5}, {"weights": [1.0]}, {"threshold": 2.0}, {"x": 1}):
        file.write_bytes(msgspec.json.encode(body | wrong))
        with pytest.raises(BadConfidenceModel, match="not a confidence model"):
            load(file, SPACE.id)
    with pytest.raises(BadConfidenceModel, match="cannot be read"):
        load(tmp_path / "gone.json", SPACE.id)


def test_the_bundled_encoder_has_a_model_and_others_have_none() -> None:
    model = shipped(space_of("bundled").id)
    assert model is not None
    assert model.space_id == space_of("bundled").id
    assert model.origin["calibration_error"] <= 0.06  # type: ignore[operator]  # a number
    assert shipped(SPACE.id) is None
    assert np.isfinite(model.confidences(np.zeros((1, len(FEATURES))))).all()
