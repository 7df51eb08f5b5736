"""The thresholds of words, on made words whose truth is known and on the list that wildtag ships."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.encoders.protocols import Floats
from tasks.thresholds.words import PAIRS, WordPairs, word_pairs, word_thresholds
from tasks.vector_maths import unit
from tests.unit.thresholds.made_spaces import in_narrower_cone, rotation
from vectordb.starter.captions import pairs

KINDS, THINGS, DIMENSION = 20, 25, 256


def listed() -> list[tuple[str, str]]:
    """A list of kinds, with things that have two names, and compounds that are and are not what they end in."""
    rows = [(f"kind{kind}", "entity") for kind in range(KINDS)]
    for kind in range(KINDS):
        for thing in range(THINGS):
            rows += [(f"thing{kind}x{thing}", f"kind{kind}"), (f"thing{kind}x{thing} kind{kind}", f"kind{kind}")]
            rows += [(f"modified{kind}x{thing} kind{kind}", f"kind{kind}")]
            rows += [(f"false{kind}x{thing} kind{(kind + 1) % KINDS}", f"kind{kind}")]
    return rows


def vectors(words: list[str], blur: float = 0.5, seed: int = 0) -> dict[str, Floats]:
    """Two names of a thing differ by ``blur``; modified things are near their kind, false ones are not."""
    draw = np.random.default_rng(seed)

    def anything() -> Floats:
        one: Floats = unit(draw.normal(size=DIMENSION).astype(np.float32))
        return one

    kinds = [anything() for _ in range(KINDS)]
    things = {f"{kind}x{thing}": anything() for kind in range(KINDS) for thing in range(THINGS)}
    found = {}
    for word in words:
        first, _, last = word.partition(" ")
        if first.startswith("kind"):
            found[word] = kinds[int(first[4:])]
        elif first.startswith("thing"):
            own = unit(0.6 * kinds[int(first[5:].partition("x")[0])] + 0.8 * things[first[5:]])
            found[word] = unit(own + blur * anything())
        elif first.startswith("modified"):
            found[word] = unit(0.8 * kinds[int(last[4:])] + 0.6 * anything())
        else:
            found[word] = unit(0.6 * kinds[int(first[5:].partition("x")[0])] + 0.8 * anything())
    return found


def share(cosines: list[float], threshold: float | None) -> float:
    assert threshold is not None
    return float((np.array(cosines) > threshold).mean())


def cosines(chosen: list[tuple[str, str]], known: dict[str, Floats]) -> list[float]:
    return [float(known[one] @ known[other]) for one, other in chosen]


def test_synonyms_are_merged_and_siblings_are_not() -> None:
    chosen = word_pairs(listed())
    known = vectors([noun for noun, _ in listed()])
    synonym, head = word_thresholds(chosen, known)
    names = [(kind, thing) for kind in range(KINDS) for thing in range(THINGS)]
    same = [(f"thing{kind}x{thing}", f"thing{kind}x{thing} kind{kind}") for kind, thing in names]
    apart = [(f"thing{kind}x{thing}", f"thing{kind}x{(thing + 1) % THINGS}") for kind, thing in names]
    modified = [(f"modified{kind}x{thing} kind{kind}", f"kind{kind}") for kind, thing in names]
    false = [(f"false{kind}x{thing} kind{(kind + 1) % KINDS}", f"kind{(kind + 1) % KINDS}") for kind, thing in names]
    assert share(cosines(same, known), synonym.value) > 0.9
    assert share(cosines(apart, known), synonym.value) < 0.02
    assert share(cosines(modified, known), head.value) > 0.2
    assert share(cosines(false, known), head.value) < 0.02
    assert synonym.numbers["near_siblings_merged"] <= 0.1
    assert (head.value or 0.0) >= (synonym.value or 0.0)


def test_the_thresholds_turn_with_the_space_and_narrow_with_its_cone() -> None:
    chosen = word_pairs(listed())
    known = vectors([noun for noun, _ in listed()])

    def found(rows: Floats) -> list[float]:
        values = [one.value for one in word_thresholds(chosen, dict(zip(known, rows, strict=True)))]
        return [value for value in values if value is not None]

    rows = np.stack(list(known.values()))
    plain = found(rows)
    assert len(plain) == 2
    assert found(rows) == plain
    assert found(rows @ rotation(DIMENSION)) == pytest.approx(plain, abs=1e-3)
    assert found(in_narrower_cone(rows, 0.5)) == pytest.approx([0.5 + value / 2 for value in plain], abs=1e-3)


def test_a_space_that_knows_no_synonyms_merges_nothing_and_says_so() -> None:
    chosen = word_pairs(listed())
    synonym, head = word_thresholds(chosen, vectors([noun for noun, _ in listed()], blur=9.0))
    assert (synonym.value, head.value) == (None, None)
    assert "does not tell synonyms from other words" in synonym.reason
    assert synonym.numbers["synonyms_merged"] < 0.25


def test_too_few_words_turn_both_off_and_say_so() -> None:
    few = word_pairs(listed()[:60])
    synonym, head = word_thresholds(few, vectors(few.words()))
    assert (synonym.value, head.value) == (None, None)
    assert synonym.reason.startswith("too few words")
    assert word_thresholds(WordPairs((), (), (), (), ()), {})[0].value is None


def test_the_shipped_list_has_enough_pairs_of_each_kind_and_always_gives_the_same() -> None:
    chosen = word_pairs(pairs())
    kinds = (chosen.synonyms, chosen.near_siblings, chosen.siblings, chosen.right_nouns, chosen.wrong_nouns)
    assert [len(kind) for kind in kinds] == [PAIRS] * 5
    assert word_pairs(pairs()) == chosen
    broader = dict(pairs())
    for noun, first in chosen.synonyms:
        assert noun.startswith(f"{first} ")
    for noun, last in chosen.right_nouns:
        assert noun.endswith(f" {last}")
    assert all(not set(one.lower().split()) & set(other.lower().split()) for one, other in chosen.siblings)
    assert len(broader) > 29_000
