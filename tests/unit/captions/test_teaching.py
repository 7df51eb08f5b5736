"""Captions that people teach, list and take back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tasks.encoders.protocols import Space
from vectordb.captions import SOURCE, Caption, caption_id
from vectordb.exact import ExactIndex
from vectordb.index import Floats
from workers.captions.teaching import ADDED, EmptyCaption, NotTaught, remove_taught, taught, teach

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


@dataclass
class Encoder:
    """Vectors that follow from the text."""

    space: Space = field(default_factory=lambda: Space("mini", 4, 10.0))
    calls: list[list[str]] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> Floats:
        self.calls.append(list(texts))
        rows = [np.random.default_rng(list(text.encode())).normal(size=4) for text in texts]
        return np.array(rows, dtype=np.float32)

    def __call__(self) -> Encoder:
        return self


@pytest.fixture
def index() -> ExactIndex:
    made = ExactIndex(4)
    made.add([Caption.of("a cup")], np.ones((1, 4), dtype=np.float32))
    return made


def test_what_is_taught_is_found_and_says_who_taught_it_and_when(index: ExactIndex) -> None:
    encode = Encoder()
    learnt = teach(index, encode, ["a Moka pot"], NOON, "kitchen")
    (found,) = index.search(encode.encode(["a Moka pot"]), 1)
    assert found.captions == learnt.added
    assert found.captions[0].payload == {SOURCE: "kitchen", ADDED: "2025-06-01T12:00:00+00:00"}


def test_what_is_there_stays_as_it_was(index: ExactIndex) -> None:
    encode = Encoder()
    learnt = teach(index, encode, ["a cup", "<b>a  cup</b>", "a jug", "a jug"], NOON)
    assert [caption.text for caption in learnt.added] == ["a jug"]
    assert [caption.text for caption in learnt.known] == ["a cup"]
    assert encode.calls == [["a jug"]]
    assert index.get([caption_id("a cup")])[0].payload == {}


def test_nothing_new_needs_no_encoder(index: ExactIndex) -> None:
    def never() -> Encoder:
        raise AssertionError

    assert teach(index, never, ["a cup"], NOON).added == ()


def test_a_caption_without_a_word_is_refused_and_nothing_is_added(index: ExactIndex) -> None:
    with pytest.raises(EmptyCaption):
        teach(index, Encoder(), ["a jug", "<br>"], NOON)
    assert index.count() == 1


def test_the_newest_come_first(index: ExactIndex) -> None:
    for minute, text in enumerate(["one", "two", "three"]):
        teach(index, Encoder(), [text], NOON + timedelta(minutes=minute))
    teach(index, Encoder(), ["other"], NOON, "someone else")
    assert [caption.text for caption in taught(index)] == ["three", "two", "one"]
    assert [caption.text for caption in taught(index, "someone else")] == ["other"]


def test_what_was_taught_is_taken_back_by_text_or_id(index: ExactIndex) -> None:
    teach(index, Encoder(), ["one", "two", "deadbeefdeadbeef cakes", "three"], NOON)
    gone = remove_taught(index, ["one", f"{caption_id('two'):016x}"], Encoder)
    assert {caption.text for caption in gone.captions} == {"one", "two"}
    assert {caption.text for caption in taught(index)} == {"deadbeefdeadbeef cakes", "three"}


def test_what_was_not_taught_is_not_taken_back_and_then_all_stays(index: ExactIndex) -> None:
    teach(index, Encoder(), ["one"], NOON)
    with pytest.raises(NotTaught, match="belongs to the import"):
        remove_taught(index, ["one", "a cup"], Encoder)
    with pytest.raises(NotTaught, match="no caption 'nothing'"):
        remove_taught(index, ["one", "nothing"], Encoder)
    assert index.count() == 2
