"""The broader labels that a tag implies: from its evidence, from WordNet's tree and from its head noun."""

from __future__ import annotations

from pathlib import Path

import pytest

import vectordb.starter
from tasks.labels.broader import TOO_GENERAL, certain
from tasks.labels.implied import MOST, implied
from tasks.labels.index_form import index_form
from vectordb.starter.captions import pairs
from vectordb.starter.derive_kinds import Kinds
from vectordb.starter.wordnet import Nouns

WORDNET = Path("/usr/share/wordnet")
STARTER = Path(vectordb.starter.__file__).parent


@pytest.mark.parametrize(
    ("label", "broader"),
    [
        ("egyptian cat", ["domestic cat", "cat", "animal"]), ("Golden Retrievers", ["retriever", "dog", "animal"]),
        ("goldfinch", ["finch", "bird"]), ("sports car", ["car", "vehicle"]), ("coffee mug", ["mug", "container"]),
        ("T-shirt", ["shirt", "clothing"]), ("violin", ["musical instrument"]), ("woman", ["person"]),
        ("office-chair", ["chair", "furniture"]), ("moka pot", ["pot"]), ("espresso", ["coffee", "beverage"]),
        ("cup of coffee", []), ("computer mouse", ["mouse"]),
    ],
)  # fmt: skip
def test_a_label_implies_what_it_is_a_kind_of(label: str, broader: list[str]) -> None:
    assert not set(broader) - set(implied(label))


@pytest.mark.parametrize(
    ("label", "other"),
    [
        ("hot dog", "dog"), ("teddy bear", "bear"), ("baseball bat", "animal"), ("computer mouse", "animal"),
        ("flower bed", "furniture"), ("crane", "bird"), ("mouse", "animal"), ("glasses", "glass"),
        ("car", "container"), ("cat", "cat"), ("cup of coffee", "coffee"), ("guinea pig", "pig"), ("bat", "animal"),
    ],
)  # fmt: skip
def test_a_label_does_not_imply_another_thing(label: str, other: str) -> None:
    assert other not in implied(label)


def test_evidence_tells_which_sense_is_meant() -> None:
    assert implied("crane", ["crane, a kind of wading bird"]) == ("wading bird", "bird", "animal")
    assert "animal" not in implied("crane", ["crane, a kind of lifting device"])
    assert implied("widget", ["A widget is a kind of golden retriever."])[:2] == ("golden retriever", "retriever")


def test_all_that_the_evidence_says_counts_in_its_order() -> None:
    """Not in that of a set, which differs from process to process: the index would, too."""
    kinds = ["gizmo", "trinket", "gadget"]
    for first in kinds:
        told = [first, *(kind for kind in kinds if kind != first)]
        assert implied("frobnitz", [f"frobnitz, a kind of {kind}" for kind in told])[0] == first


def test_evidence_of_another_label_does_not_count() -> None:
    assert "domestic cat" not in implied("cat", ["Egyptian cat, a kind of domestic cat", "a photo of a cat"])
    assert implied("frobnitz", ["frobnitz, a kind of"]) == ()


def test_nothing_is_implied_that_fits_everything_and_never_much() -> None:
    for noun, broader in list(pairs())[::50]:
        found = implied(noun, [f"{noun}, a kind of {broader}"])
        assert len(found) <= MOST
        assert not TOO_GENERAL & set(found)
        assert index_form(noun) not in found


def test_a_word_with_several_senses_implies_what_they_share() -> None:
    assert certain("dog")
    assert certain("crane") == []


@pytest.mark.skipif(not (WORDNET / "data.noun").exists(), reason="Debian's wordnet-base is not installed")
def test_the_files_are_what_the_script_derives() -> None:
    kinds = Kinds(Nouns(WORDNET))
    assert kinds.lines() == (STARTER / "kinds.txt").read_text(encoding="utf-8").splitlines()
    assert kinds.misleading() == (STARTER / "misleading.txt").read_text(encoding="utf-8").splitlines()
