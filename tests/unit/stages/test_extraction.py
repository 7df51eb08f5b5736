"""Shows what the two profiles take from captions as people write them, and that the stage is never at a loss."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.cache import LRUCache
from tasks.extraction import OBJECT, Extractor, extract, extractor
from tasks.extraction.paper import PaperWords
from tasks.extraction.parse import clean, definition
from tasks.extraction.phrases import BY, Phrases
from tasks.message_parts import Candidate, Hit, Parsed, Revision, Vectors
from tasks.messages import Retrieved
from tests.unit.stages.made_up import hits, random_units, references

PHRASES = Phrases()
PAPER = PaperWords()


def labels(of: Extractor, *captions: str) -> list[str]:
    return [candidate.label for candidate in of.candidates([hits(*captions)], LRUCache(100))[0]]


def retrieved(*captions: tuple[str, ...]) -> Retrieved:
    vectors = Vectors.of(random_units(0, len(captions)))
    return Retrieved(
        objects=references(len(captions)), revision=Revision("made-up", "1"), vectors=vectors, centroids=vectors,
        hits=tuple(hits(*one) for one in captions),
    )  # fmt: skip


TRICKY = [
    ("bell pepper, a kind of sweet pepper", ["bell pepper", "pepper", "sweet pepper"]),
    ("The tabby is a kind of domestic cat.", ["tabby", "domestic cat", "cat"]),
    ("cloth of gold, a kind of thing", ["cloth of gold"]),
    ("jack-o'-lantern, a kind of lantern", ["jack-o'-lantern", "lantern"]),
    ("red bell peppers", ["red bell pepper", "bell pepper", "pepper"]),
    ("a photo of a small dog next to a teddy-bear", ["small dog", "dog", "teddy-bear"]),
    ("dog photo", ["dog"]),
    ("a pair of shoes", ["shoe"]),
    ("the dog's bowl, seen from above", ["dog", "bowl"]),
    ("children playing with cats", ["child", "cat"]),
    ("the Eiffel Tower in Paris", ["eiffel tower", "tower", "paris"]),
    ("library_bridge.jpg", ["library bridge", "bridge"]),
    ("see http://example.org/x.html for the strawberry picture", ["strawberry"]),
    ("<PERSON> with a piano", ["piano"]),
    ("a cat 😀🎉", ["cat"]),
    ("the girls' bicycles", ["girl", "bicycle"]),
    ("a state-of-the-art kitchen", ["kitchen"]),
    ("photo: www.example.org/dog-house.jpg", []),
    ("A DOG", ["dog"]),
    ("a crème brûlée on a table", ["crème brûlée", "brûlée", "table"]),
    ("dog | stock photo", ["dog"]),
    ("12345 67", []),
    ("😀", []),
    ("", []),
]


@pytest.mark.parametrize(("caption", "expected"), TRICKY)
def test_phrases_of_a_caption(caption: str, expected: list[str]) -> None:
    assert labels(PHRASES, caption) == expected


def test_paper_words_are_nouns_adjectives_and_participles_in_the_singular() -> None:
    found = labels(PAPER, "two big dogs running to the bridge", "two big dogs running to the bridge, seen again")
    assert found == ["big", "dog", "running", "bridge"]
    assert labels(PAPER, "12 - ñ !!") == []


@pytest.mark.parametrize("of", [PHRASES, PAPER], ids=["phrases", "paper"])
def test_evidence_are_the_captions_that_hold_the_word(of: Extractor) -> None:
    found = of.candidates([hits("a dog on a bridge", "two dogs", "a wide river", "dogs and a bridge")], LRUCache(9))
    evidence = {candidate.label: candidate.evidence for candidate in found[0]}
    assert evidence["dog"] == (0, 1, 3)
    assert evidence["bridge"] == (0, 3)


@pytest.mark.parametrize("of", [PHRASES, PAPER], ids=["phrases", "paper"])
def test_a_thousand_words_are_a_caption_like_any_other(of: Extractor) -> None:
    caption = " ".join(["a small dog chases the red ball over a bridge"] * 100)
    assert {"dog", "ball", "bridge"} <= set(labels(of, caption))


@pytest.mark.parametrize("of", [PHRASES, PAPER], ids=["phrases", "paper"])
@settings(deadline=None, max_examples=40)
@given(captions=st.lists(st.text(max_size=80), max_size=4))
def test_whatever_the_captions_labels_are_words_in_lower_case(of: Extractor, captions: list[str]) -> None:
    found = labels(of, *captions)
    assert all(label == label.lower() == label.strip() and any(map(str.isalpha, label)) for label in found)
    assert len(found) == len(set(found))


def test_spellings_and_plurals_of_a_label_are_merged_under_the_most_frequent() -> None:
    found = PHRASES.candidates([hits("a teddy-bear", "a teddy bear", "the teddy bear")], LRUCache(9))[0]
    assert Candidate("teddy bear", (0, 1, 2)) in found
    assert "teddy-bear" not in [candidate.label for candidate in found]


@pytest.mark.long
def test_choices_of_the_phrases() -> None:
    captions = ("bell pepper, a kind of vegetable", "a red bell pepper", "a red tomato")
    assert labels(Phrases(heads=False), *captions) == ["bell pepper", "vegetable", "red bell pepper", "red tomato"]
    assert "vegetable" not in labels(Phrases(broader=False), *captions)
    assert labels(Phrases(least=2), *captions) == ["bell pepper", "pepper"]
    assert labels(Phrases(least=9), "a cat", "a cat and a dog") == ["cat"]
    assert labels(Phrases(most=1), "a dog", "a cat", "the cat") == ["cat"]


@pytest.mark.parametrize("of", [PHRASES, PAPER], ids=["phrases", "paper"])
def test_captions_are_parsed_once(of: Extractor) -> None:
    class Counted(LRUCache):
        set_keys = 0

        def set_many(self, items: Mapping[str, bytes]) -> None:
            self.set_keys += len(items)
            super().set_many(items)

    cache = Counted(100)
    batch = retrieved(("a dog on a bridge", "two dogs"), ("two dogs", "a dog on a bridge"), ())
    first = extract(batch, of, cache)
    parsed = cache.set_keys
    assert parsed >= 2
    assert extract(batch, of, cache) == first
    assert cache.set_keys == parsed


@pytest.mark.parametrize("of", [PHRASES, PAPER], ids=["phrases", "paper"])
def test_an_image_without_words_shows_an_object(of: Extractor) -> None:
    batch = extract(retrieved(("123", "456"), ("a dog",), ()), of, LRUCache(9))
    assert batch.candidates[0] == (Candidate(OBJECT, (0, 1)),)
    assert batch.candidates[1] == (Candidate("dog", (0,)),)
    assert batch.candidates[2] == (Candidate(OBJECT),)
    assert extract(retrieved(), of, LRUCache(9)).candidates == ()


def test_the_same_caption_means_the_same_in_every_batch() -> None:
    """A caption's parse must not depend on what is parsed with it: the cache would make results depend on luck."""
    captions = ["a tabby cat on a red sofa", "old wooden bridges over rivers", "un café", "photo of two lorrys"]
    alone = [labels(PHRASES, caption) for caption in captions]
    found = PHRASES.candidates([hits(caption) for caption in captions], LRUCache(100))
    assert [[candidate.label for candidate in one] for one in found] == alone


def test_what_is_not_a_definition_is_left_to_the_parser() -> None:
    assert definition("a dog") is None
    assert definition("this kind of dog, seen from above") is None
    assert definition("a man, who is tall, a kind of giant") is None
    assert definition("x" * 500 + ", a kind of letter") is None
    assert definition("123, a kind of number") is None
    assert clean("A <B> C_D|E... (F) http://g.h") == "a c d , e , (f)"


@pytest.mark.parametrize("of", [PHRASES, PAPER], ids=["phrases", "paper"])
def test_what_another_version_remembered_is_parsed_again(of: Extractor) -> None:
    class Spoilt(LRUCache):
        def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
            return [b"\xc1 not msgpack" for _ in keys]

    assert of.candidates([hits("a dog")], Spoilt(9)) == [(Candidate("dog", (0,)),)]


def test_profiles_by_name() -> None:
    assert isinstance(extractor(), Phrases)
    assert isinstance(extractor("paper"), PaperWords)


def test_parsing_loads_neither_torch_nor_commands_where_there_were_none() -> None:
    """A worker of this stage has 190 MB less, and it can still import both afterwards."""
    code = (
        "import sys; from tasks.extraction.language import English\n"
        "English(['ner']).parse(['a dog'])\n"
        "assert 'spacy' in sys.modules and 'torch' not in sys.modules\n"
        "assert not any(name.startswith('spacy.cli') for name in sys.modules)\n"
        "from spacy.cli import info; assert callable(info)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_hits_of_one_text_share_one_parse() -> None:
    same = (Hit(7, "a dog", 0.9), Hit(7, "a dog", 0.9))
    assert PHRASES.candidates([same], LRUCache(9))[0] == (Candidate("dog", (0, 1)),)


def test_labels_that_are_known_without_a_parser_are_all_that_extraction_gives() -> None:
    texts = ("bell pepper, a kind of sweet pepper", "teddy-bear, a kind of plaything", "two dogs playing in the snow")
    unknown = [Hit(number, text, 0.5) for number, text in enumerate(texts)]
    stored = [Hit(3, "a photo", 0.4, Parsed(BY, (("red fox", False, False), ("fox", True, False))))]
    phrases = Phrases()
    labels = phrases.labels_without_parser([*unknown, *stored])
    assert {"bell pepper", "pepper", "sweet pepper", "plaything", "red fox", "fox"} <= set(labels)
    assert len(labels) == len(set(labels))
    assert "dog" not in labels  # it would have to be parsed
    (found,) = phrases.candidates([[*unknown[:2], *stored]], LRUCache(10))
    assert {candidate.label for candidate in found} <= set(labels)
    assert "fox" not in Phrases(heads=False).labels_without_parser(stored)
