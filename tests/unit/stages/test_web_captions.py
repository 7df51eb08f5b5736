"""Captions as the web has them: what comes out are things, and plain sentences are parsed as they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.extraction.boilerplate import described
from tasks.extraction.phrases import Phrases
from vectordb.cleaning import cleaned

DATA = Path(__file__).parents[2] / "data" / "captions" / "web.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
PLAIN = """
a cat on a table, seen from above
A man riding a wave on top of a surfboard.
Two dogs play with a red ball in the park
a merry-go-round at a fair
a black-and-white photograph of an old bridge
the source of a river in the mountains
a notice posted by the door of a shop
ducks follow their mother across the road
a woman presses a button to open the gate
a man taps a keg for a glass of beer
boys march in step on a field
a view of the city from a hill
a set of four chairs around a table
a stock of wood beside a barn
a picture of a castle above a fireplace
a photo of a photographer taking photos
people wait to board a bus in March
a sign with a number 7 on it
a plate with 3 slices of pizza and 2 forks
an amazon parrot in a cage
a getaway car in front of a bank
a toy for sale in a window of a store
the captain's log on a desk
apples, pears and plums in a basket
"welcome" is written on a doormat
a T-shirt on a clothes line
a vase by a window; a chair beside it
Los Angeles at night
café tables under trees in Paris
a jack-in-the-box
""".strip().splitlines()


def test_the_table_is_long_enough() -> None:
    """And it has no caption twice."""
    assert len({row["caption"] for row in ROWS}) == len(ROWS) >= 150


def test_what_comes_out_of_such_captions_are_things() -> None:
    """The labels of each caption of the table, in order, without the bare nouns of longer labels."""
    parsed = Phrases().parse([cleaned(row["caption"]) for row in ROWS])
    found = {
        row["caption"]: [label for label, head, _ in one.phrases if not head]
        for row, one in zip(ROWS, parsed, strict=True)
    }
    assert found == {row["caption"]: row["things"] for row in ROWS}


@pytest.mark.parametrize("caption", [line for line in PLAIN if "for sale" not in line])
def test_a_plain_sentence_is_left_as_it_is(caption: str) -> None:
    """Nothing of it is boilerplate, whatever words it has in common with it."""
    assert described(caption) == caption


@pytest.mark.parametrize(
    "piece", ["a.", "[[a|", "photo of ", "12:", "$1 ", "a_", "click to ", "@a", "(photo ", "a-", "猫 "]
)
def test_long_captions_take_no_longer_than_they_are(piece: str) -> None:
    """No rule takes quadratic time that shows: 6,000 characters, the longest that is parsed."""
    assert isinstance(described(piece * (6000 // len(piece))), str)


def test_a_caption_that_is_taken_for_plain_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick check lets no caption pass to which a rule applies."""
    captions = [cleaned(row["caption"]) for row in ROWS]
    quick = [described(caption).split() for caption in captions]
    monkeypatch.setattr("tasks.extraction.boilerplate.is_plain", lambda _: False)
    assert quick == [described(caption).split() for caption in captions]
