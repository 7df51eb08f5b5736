"""The starter list is what its script derives, and says what an everyday photograph needs and nothing unkind."""

from __future__ import annotations

from pathlib import Path

import pytest

from vectordb import starter
from vectordb.starter import derive, rules
from vectordb.starter.captions import pairs
from vectordb.starter.wordnet import PERSON, Nouns

WORDNET = Path("/usr/share/wordnet")

needs_wordnet = pytest.mark.skipif(
    not (WORDNET / "data.noun").exists(), reason="Debian's wordnet-base is not installed"
)

PAIRS = list(pairs())
NOUNS = {noun for noun, _ in PAIRS}
SAID = NOUNS | {broader for _, broader in PAIRS}


@pytest.fixture(scope="module")
def nouns() -> Nouns:
    return Nouns(WORDNET)


@needs_wordnet
def test_the_list_is_what_the_script_derives() -> None:
    assert derive.lines(WORDNET) == [f"{noun}\t{broader}" for noun, broader in PAIRS]


def test_the_list_is_sorted_without_repeats_and_about_as_long_as_promised() -> None:
    assert sorted(set(PAIRS)) == PAIRS
    assert 25_000 < len(PAIRS) < 35_000


@pytest.mark.parametrize(
    "pair",
    [
        ("cat", "feline"),
        ("coffee", "beverage"),
        ("espresso", "coffee"),
        ("motorcycle", "motor vehicle"),
        ("moped", "minibike"),
        ("rocket", "vehicle"),
        ("missile", "weapon"),
        ("crane", "lifting device"),
        ("crane", "wading bird"),
        ("mouse", "rodent"),
        ("computer mouse", "electronic device"),
        ("firefighter", "defender"),
        ("German shepherd", "shepherd dog"),
        ("T-shirt", "shirt"),
        ("sofa", "seat"),
        ("snow", "precipitation"),
        ("taco", "dish"),
        ("spade", "hand shovel"),
        ("wine", "alcohol"),
        ("rose", "shrub"),
    ],
)
def test_everyday_things_are_there(pair: tuple[str, str]) -> None:
    assert pair in PAIRS


@pytest.mark.parametrize(
    "noun",
    [
        "genus Felis",
        "Felis catus",
        "Canidae",
        "Acer rubrum",
        "Mont Blanc",
        "Einstein",
        "entity",
        "physical object",
        "Prozac",
        "PCP",
        "criminal",
        "prostitute",
        "slave",
        "idiot",
        "beggar",
        "Mexican",
        "Muslim",
        "homosexual",
        "fat person",
        "bacteria",
    ],
)
def test_what_nobody_wants_as_a_tag_is_not(noun: str) -> None:
    assert noun not in NOUNS


def test_no_word_of_the_offensive_ones_is_said_anywhere() -> None:
    for said in SAID:
        words = said.lower().replace("-", " ").replace("'", " ").split()
        assert rules.OFFENSIVE.isdisjoint(words), said


@needs_wordnet
def test_no_word_that_wordnet_marks_as_offensive_is_said(nouns: Nouns) -> None:
    domains = {nouns.sense(name) for name in rules.OFFENSIVE_USAGE}
    marked = {
        word.replace("_", " ").lower()
        for synset in nouns.synsets.values()
        for position, domain in synset.usage
        if domain in domains
        for word in (synset.words if position is None else [synset.words[position]])
    }
    assert len(marked) > 100
    assert {said.lower() for said in SAID} & marked <= rules.HARMLESS


@needs_wordnet
def test_people_are_only_those_who_were_listed(nouns: Nouns) -> None:
    listed = {name.partition(".")[0].replace("_", " ") for name in rules.NAMED[PERSON]}
    person = nouns.sense("person.1")
    deriver = derive.Deriver(nouns)
    kept = [s for s in nouns.synsets.values() if person in nouns.ancestors(s.offset) and deriver.kept(s)]
    assert {word for synset in kept for word in deriver.words(synset)} - listed == {"person", "individual"}


def test_captions_follow_the_template_and_carry_what_they_were_made_of() -> None:
    made = list(starter.captions())
    assert len({caption.id for caption in made}) == len(PAIRS)
    cat = next(c for c in made if c.payload == {"noun": "cat", "broader": "feline"})
    assert cat.text == "cat, a kind of feline"


def test_the_version_changes_with_the_template() -> None:
    assert starter.version() == starter.version(starter.TEMPLATE)
    assert len(starter.version()) == 10
    assert starter.version("{noun}") != starter.version()
