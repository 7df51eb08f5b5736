"""Shows that scoring gives what a plain loop gives, in any batch, and what its choices do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tasks.cache import LRUCache
from tasks.encoders.protocols import Space
from tasks.message_parts import Candidate, Floats, Hit
from tasks.messages import WrongSpace
from tasks.scoring import score
from tests.unit.stages.made_up import SPACE, MadeUpText, extracted, random_units, vector_of

SIGMOID = replace(SPACE, normalisation="sigmoid", logit_scale=10.0, logit_bias=-4.0)


def cosine(one: Floats, other: Floats) -> float:
    return sum(float(a) * float(b) for a, b in zip(one, other, strict=True))


def chances(query: Floats, labels: list[str], space: Space, tau: float) -> list[float]:
    """The probabilities of one query, one number at a time."""
    logits = [(space.logit_scale * cosine(query, vector_of(label)) + space.logit_bias) / tau for label in labels]
    if space.normalisation == "sigmoid":
        return [1 / (1 + math.exp(-logit)) for logit in logits]
    total = sum(math.exp(logit) for logit in logits)
    return [math.exp(logit) / total for logit in logits]


@pytest.mark.parametrize("space", [SPACE, SIGMOID])
@given(
    seed=st.integers(0, 10**6),
    labels=st.lists(
        st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=8, unique=True), min_size=1, max_size=5
    ),
    alpha=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    tau=st.sampled_from([0.5, 1.0, 3.0]),
)
def test_scores_are_those_of_a_plain_loop(
    space: Space, seed: int, labels: list[list[str]], alpha: float, tau: float
) -> None:
    images, centroids = random_units(seed, len(labels)), random_units(seed + 1, len(labels))
    scored = score(
        extracted(images, centroids, labels), MadeUpText(space), LRUCache(100), alpha=alpha, tau=tau, max_tags=None
    )
    for tags, words, image, centroid in zip(scored.tags, labels, images, centroids, strict=True):
        by_image, by_text = chances(image, words, space, tau), chances(centroid, words, space, tau)
        expected = {
            word: (alpha * i + (1 - alpha) * t, i, t) for word, i, t in zip(words, by_image, by_text, strict=True)
        }
        assert {tag.label for tag in tags} == set(words)
        for tag in tags:
            assert (tag.score, tag.image_score, tag.text_score) == pytest.approx(expected[tag.label], abs=2e-6)
        assert [tag.score for tag in tags] == sorted((tag.score for tag in tags), reverse=True)


def test_an_image_has_the_same_tags_in_any_batch() -> None:
    images, centroids = random_units(1, 16), random_units(2, 16)
    labels = [[f"word{(7 * at + step) % 90}" for step in range(at + 1)] for at in range(16)]
    together = score(extracted(images, centroids, labels), MadeUpText(), LRUCache(100))
    for at in range(16):
        alone = score(
            extracted(images[at : at + 1], centroids[at : at + 1], labels[at : at + 1]), MadeUpText(), LRUCache(100)
        )
        assert alone.tags[0] == together.tags[at]


def test_equal_scores_come_in_the_order_of_their_labels() -> None:
    class Same(MadeUpText):
        def encode(self, texts: Sequence[str]) -> Floats:
            return np.tile(vector_of("same"), (len(texts), 1))

    units = random_units(0, 1)
    scored = score(extracted(units, units, [["c", "a", "b"]]), Same(), LRUCache(10))
    assert [tag.label for tag in scored.tags[0]] == ["a", "b", "c"]


def test_words_are_encoded_once_in_one_call() -> None:
    encoder, cache = MadeUpText(), LRUCache(100)
    batch = extracted(random_units(0, 2), random_units(1, 2), [["cat", "dog"], ["dog", "sofa"]])
    first = score(batch, encoder, cache)
    assert encoder.calls == [["cat", "dog", "sofa"]]
    assert score(batch, encoder, cache) == first
    assert len(encoder.calls) == 1


def test_a_remembered_vector_of_another_length_is_encoded_again() -> None:
    class Stale(LRUCache):
        def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
            return [b"123" for _ in keys]

    batch = extracted(random_units(0, 1), random_units(1, 1), [["cat", "dog"]])
    assert score(batch, MadeUpText(), Stale(10)) == score(batch, MadeUpText(), LRUCache(10))


def test_prompts_are_averaged_and_remembered_apart() -> None:
    cache = LRUCache(100)
    units = random_units(0, 1)
    batch = extracted(units, units, [["cat", "dog"]])
    prompts = ("a photo of a {}", "{} in the wild")
    tags = {tag.label: tag for tag in score(batch, MadeUpText(), cache, prompts=prompts, alpha=1).tags[0]}
    means = [sum(vector_of(p.replace("{}", word)).astype(float) for p in prompts) for word in ("cat", "dog")]
    logits = [SPACE.logit_scale * float(units[0] @ (mean / np.linalg.norm(mean))) for mean in means]
    assert tags["cat"].score == pytest.approx(1 / (1 + math.exp(logits[1] - logits[0])), abs=1e-5)
    assert score(batch, MadeUpText(), cache) == score(batch, MadeUpText(), LRUCache(100))


def test_at_most_so_many_tags_and_none_below_the_threshold() -> None:
    batch = extracted(random_units(3, 1), random_units(4, 1), [list("abcdefgh")])
    everything = score(batch, MadeUpText(), LRUCache(100), max_tags=None).tags[0]
    assert score(batch, MadeUpText(), LRUCache(100), max_tags=3).tags[0] == everything[:3]
    least = everything[1].score
    assert score(batch, MadeUpText(), LRUCache(100), min_score=least).tags[0] == everything[:2]
    assert score(batch, MadeUpText(), LRUCache(100), min_score=1.1).tags[0] == ()


def test_nothing_near_means_unknown() -> None:
    units = random_units(0, 1)
    near = extracted(units, units, [["cat"]], similarity=0.31)
    far = extracted(units, units, [["cat"]], similarity=0.29)
    assert score(near, MadeUpText(), LRUCache(10), unknown_similarity=0.3).tags[0] != ()
    assert score(far, MadeUpText(), LRUCache(10), unknown_similarity=0.3).tags == ((),)


def test_a_tag_is_judged_by_its_own_best_caption() -> None:
    units = random_units(0, 1)
    hits = tuple(Hit(number, "a caption", similarity) for number, similarity in enumerate((0.31, 0.25, 0.2)))
    found = (Candidate("cat", (0, 2)), Candidate("sofa", (1, 2)), Candidate("hub", (2,)))
    batch = structs.replace(extracted(units, units, [["cat"]]), hits=(hits,), candidates=(found,))
    everything = score(batch, MadeUpText(), LRUCache(10)).tags[0]
    kept = score(batch, MadeUpText(), LRUCache(10), evidence_similarity=0.25).tags[0]
    assert kept == tuple(tag for tag in everything if tag.label != "hub")
    assert score(batch, MadeUpText(), LRUCache(10), evidence_similarity=0.32).tags[0] == ()
    # what is dropped takes no place of another
    first = next(tag for tag in kept if tag.label == "cat")
    assert score(batch, MadeUpText(), LRUCache(10), evidence_similarity=0.3, max_tags=1).tags[0] == (first,)


class Synonyms(MadeUpText):
    """ "cat" and "feline" are almost the same, "dog" is not."""

    def encode(self, texts: Sequence[str]) -> Floats:
        known = {"cat": [1, 0, 0, 0.1], "feline": [1, 0, 0, -0.1], "dog": [0.9, 0.5, 0, 0]}
        rows = np.zeros((len(texts), self.space.dimension), dtype=np.float32)
        rows[:, :4] = [known[text] for text in texts]
        unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


@pytest.mark.parametrize("space", [SPACE, SIGMOID])
def test_synonyms_are_one_tag_with_the_evidence_of_both(space: Space) -> None:
    image = np.eye(1, space.dimension, dtype=np.float32)
    batch = extracted(image, image, [["dog", "feline", "cat"]])
    apart = {tag.label: tag for tag in score(batch, Synonyms(space), LRUCache(10)).tags[0]}
    tags = score(batch, Synonyms(space), LRUCache(10), synonym_similarity=0.95).tags[0]
    assert [tag.label for tag in tags] == ["cat", "dog"]
    assert tags[0].score == apart["cat"].score
    assert tags[0].evidence == (0,)


class Foxes(MadeUpText):
    """ "fox", "grey fox" and "fox ball" mean about the same as "red fox", "ball" does not."""

    def encode(self, texts: Sequence[str]) -> Floats:
        angles = {"red fox": 0.0, "grey fox": 0.3, "fox": 0.4, "silver-fox": 0.45, "fox ball": 0.5, "ball": 1.2}
        rows = np.zeros((len(texts), self.space.dimension), dtype=np.float32)
        rows[:, :2] = [(math.cos(angles[text]), math.sin(angles[text])) for text in texts]
        return rows


def test_a_tag_is_named_by_its_noun_where_the_rest_tells_little() -> None:
    image = np.eye(1, SPACE.dimension, dtype=np.float32)
    batch = extracted(image, image, [["fox ball", "ball", "fox", "grey fox", "red fox"]])
    plain = score(batch, Foxes(), LRUCache(10), synonym_similarity=0.85).tags[0]
    named = score(batch, Foxes(), LRUCache(10), synonym_similarity=0.85, head_similarity=0.9).tags[0]
    assert [tag.label for tag in plain] == ["red fox", "ball"]
    assert [tag.label for tag in named] == ["fox", "ball"]
    assert [tag.score for tag in named] == [tag.score for tag in plain]
    # the cosine of "fox" and "red fox" is 0.92
    assert score(batch, Foxes(), LRUCache(10), synonym_similarity=0.85, head_similarity=0.95).tags[0] == plain
    # without merging there is no tag whose name could be another's
    alone = score(batch, Foxes(), LRUCache(10), max_tags=1, head_similarity=0.9).tags[0]
    assert [tag.label for tag in alone] == ["red fox"]


def test_a_word_that_another_ends_in_is_no_noun_of_it() -> None:
    vector = np.zeros((1, SPACE.dimension), dtype=np.float32)
    vector[0, :2] = math.cos(0.45), math.sin(0.45)
    batch = extracted(vector, vector, [["fox", "silver-fox"]])
    tags = score(batch, Foxes(), LRUCache(9), synonym_similarity=0.9, head_similarity=0.5).tags[0]
    assert [tag.label for tag in tags] == ["silver-fox"]


def test_another_encoder_is_refused() -> None:
    units = random_units(0, 1)
    with pytest.raises(WrongSpace, match=r"space made-up .* encoder uses other"):
        score(extracted(units, units, [["cat"]]), MadeUpText(replace(SPACE, id="other")), LRUCache(10))


def test_an_empty_batch_stays_empty() -> None:
    encoder = MadeUpText()
    nothing = random_units(0, 0)
    assert score(extracted(nothing, nothing, []), encoder, LRUCache(10)).tags == ()
    assert encoder.calls == []
