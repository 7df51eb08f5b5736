"""Shows which of an image's tags are distinct: siblings, look-alikes and general words give way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.cache import LRUCache
from tasks.distinct import LEAD, distinct, similar_spelling
from tasks.message_parts import Hit, Tag
from tasks.nouns import Nouns, kinds_of
from tasks.scoring import score
from tests.unit.stages.made_up import MadeUpText, extracted, random_units

EAGLES = ("harpy eagle", "harrier eagle", "golden eagle")
WORDS = ("harpy", "golden eagle", "eagle", "owl", "animal", "ox", "oxalis", "panda car", "teacup", "beach", "xylem")


def tag(label: str, confidence: float | None, *evidence: int, score: float = 0.1) -> Tag:
    return Tag(label, score, score, score, evidence, confidence)


def hit(number: int, caption: str, similarity: float = 0.5) -> Hit:
    return Hit(number, caption, similarity)


def labels(tags: list[Tag]) -> list[str]:
    return [one.label for one in tags]


HITS = [hit(at, f"{label}, a kind of eagle") for at, label in enumerate(EAGLES)]


def test_a_sibling_that_stands_out_is_shown_alone() -> None:
    found = distinct([tag(EAGLES[0], 0.8, 0), tag(EAGLES[1], 0.8 - 2 * LEAD, 1), tag(EAGLES[2], 0.5, 2)], HITS)
    assert found == [tag(EAGLES[0], 0.8, 0)]


def test_otherwise_siblings_are_replaced_by_what_they_have_in_common() -> None:
    (found,) = distinct([tag(label, 0.45, at) for at, label in enumerate(EAGLES)], HITS, least=0.4)
    assert (found.label, found.evidence, round(found.score, 6)) == ("eagle", (0, 1, 2), 0.3)
    assert found.confidence == 0.45, "no surer than the surest of them"


def test_the_broader_noun_keeps_its_scores_where_it_is_a_tag_itself() -> None:
    tags = [tag(label, 0.5, at) for at, label in enumerate(EAGLES)]
    (found,) = distinct([*tags, tag("eagle", 0.4, 0, score=0.25)], HITS)
    assert (found.label, found.score, found.evidence) == ("eagle", 0.25, (0, 1, 2))
    assert found.confidence == 0.5


@pytest.mark.parametrize("own", [0.05, 0.01], ids=["a rival", "too weak to be one"])
def test_the_broader_noun_is_shown_once_and_is_no_weaker_than_its_kinds(own: float) -> None:
    kinds = [tag(EAGLES[0], None, 0, score=0.3), tag(EAGLES[1], None, 1, score=0.28), tag("rock", None, score=0.1)]
    found = distinct([*kinds, tag("eagle", None, 2, score=own)], HITS)
    assert [(one.label, round(one.score, 6)) for one in found] == [("eagle", 0.58), ("rock", 0.1)]
    assert found[0].evidence == (0, 1, 2)
    sure = [tag(EAGLES[0], 0.3, 0), tag(EAGLES[1], 0.28, 1), tag("eagle", own, 2, score=0.2)]
    assert [(one.label, one.score, one.confidence) for one in distinct(sure, HITS)] == [("eagle", 0.2, 0.3)]


def test_a_kind_is_not_counted_again_in_its_noun() -> None:
    hits = [
        hit(0, "husky, a kind of sled dog"),
        hit(1, "sled dog, a kind of working dog"),
        hit(2, "mastiff, a kind of working dog"),
    ]
    (found,) = distinct([tag("husky", 0.3, 0), tag("mastiff", 0.3, 2), tag("sled dog", 0.25, 1)], hits)
    assert (found.label, found.confidence, round(found.score, 6)) == ("working dog", 0.3, 0.2)


def test_without_confidences_the_scores_decide() -> None:
    (found,) = distinct([tag(label, None, at, score=0.2) for at, label in enumerate(EAGLES)], HITS)
    assert (found.label, found.confidence, round(found.score, 6)) == ("eagle", None, 0.6)


def test_without_confidences_a_broader_noun_is_not_weaker_than_the_kinds_that_it_replaces() -> None:
    tags = [*(tag(label, None, at, score=0.2) for at, label in enumerate(EAGLES)), tag("eagle", None, score=0.03)]
    (found,) = distinct(tags, HITS, least=0.1)
    assert (found.label, round(found.score, 6)) == ("eagle", 0.6)


def test_nouns_that_captions_define_by_each_other() -> None:
    circles = ("dog, a kind of cat", "cat, a kind of dog", "wolf, a kind of fox", "fox, a kind of wolf")
    hits = [hit(at, one) for at, one in enumerate((*circles, "dog, a kind of pet", "wolf, a kind of pet"))]
    (found,) = distinct([tag(label, 0.5, at) for at, label in enumerate(("dog", "cat", "wolf", "fox"))], hits)
    assert (found.label, found.confidence, round(found.score, 6)) == ("pet", 0.5, 0.4)


def test_labels_without_words_are_tags_like_others() -> None:
    tags = [tag(label, 0.5) for label in (" ", "---", "")]
    assert distinct(tags, []) == tags


def test_a_pair_of_nouns_is_compared_quickly() -> None:
    """Hundreds of tags of one family: broader nouns are weighed once for a noun, not once for a pair."""
    nouns = Nouns(f"bird {at}, a kind of gull" for at in range(400))
    for at in range(1, 400):
        assert nouns.common("bird 0", f"bird {at}", steps=3, kinds=100) == "gull"
    assert len(nouns._narrow) == 400


@pytest.mark.parametrize(
    ("better", "other"),
    [("ox", "oxalis"), ("ox", "oxeye"), ("macaw", "macaroni"), ("moth", "mother"), ("panda", "panda car")],
)
def test_a_look_alike_gives_way(better: str, other: str) -> None:
    hits = [hit(0, f"a {better}", 0.6), hit(1, f"a {other}", 0.55)]
    tags = [tag(better, 0.7, 0), tag(other, 0.6, 1)]
    assert labels(distinct(tags, hits)) == [better]
    named = [hits[0], hit(1, f"a {other}", 0.9)]
    assert labels(distinct(tags, named)) == [better, other], "a caption of its own names it"


def test_one_thing_in_two_spellings_is_one_tag() -> None:
    assert labels(distinct([tag("women", 0.8), tag("bench", 0.7), tag("woman", 0.6)], [])) == ["women", "bench"]
    assert labels(distinct([tag("mice", 0.8), tag("mouse", 0.7)], [hit(0, "a mouse")])) == ["mice"]


def test_similar_spelling_does_not_count_between_kin() -> None:
    assert labels(distinct([tag("telephone", 0.8), tag("telephone pole", 0.7)], [])) == ["telephone"]
    assert labels(distinct([tag("bee", 0.8), tag("carpenter bee", 0.7)], [])) == ["bee", "carpenter bee"]


def test_what_resembles_a_tag_that_was_replaced_gives_way_too() -> None:
    hits = [
        hit(0, "oven, a kind of appliance"),
        hit(1, "toaster, a kind of appliance"),
        hit(2, "oven stuffer, a kind of chicken"),
    ]
    assert labels(distinct([tag("oven", 0.5, 0), tag("toaster", 0.5, 1), tag("oven stuffer", 0.45, 2)], hits)) == [
        "appliance"
    ]


def test_a_general_word_stays_only_where_nothing_more_specific_is_sure() -> None:
    tags = [tag("animal", 0.8), tag("eagle", 0.6)]
    assert labels(distinct(tags, [], least=0.5)) == ["eagle"]
    assert labels(distinct(tags, [], least=0.7)) == ["animal"]


def test_a_word_with_two_senses_is_what_the_captions_say() -> None:
    assert {"machine", "bird"} <= set(Nouns(()).above("crane")) | {"machine"}
    assert "bird" not in Nouns(["crane, a kind of lifting device"]).above("crane")
    assert Nouns(()).common("harpy eagle", "golden eagle", steps=3, kinds=200) == "eagle"
    assert kinds_of("animal") > 1000 > kinds_of("eagle") > 0


@given(
    drawn=st.lists(st.tuples(st.sampled_from(WORDS), st.floats(0, 1)), unique_by=lambda one: one[0]),
    least=st.floats(0, 1), more=st.floats(0, 1),
)  # fmt: skip
def test_whatever_the_tags_the_result_is_ordered_and_sure_enough(
    drawn: list[tuple[str, float]], least: float, more: float
) -> None:
    tags = sorted((tag(label, round(sure, 6)) for label, sure in drawn), key=lambda one: -one.strength)
    found = distinct(tags, [], least)
    sure = [one.strength for one in found]
    assert sure == sorted(sure, reverse=True)
    assert all(one >= least for one in sure)
    assert max(sure, default=0.0) <= max((one.strength for one in tags), default=0.0)
    assert len(set(labels(found))) == len(found) <= len(tags)
    assert distinct(tags, []) == distinct(tags, [], 0.0)
    higher = distinct(tags, [], max(least, more))
    assert [one for one in higher if kinds_of(one.label) < 1000] == [
        one for one in found if one.strength >= max(least, more) and kinds_of(one.label) < 1000
    ]


def test_scoring_has_the_step_only_if_it_is_asked_for() -> None:
    batch = extracted(
        random_units(3, 1), random_units(4, 1), [["ox", "oxalis", "oxeye", "macaw", "macaroni", "gravel"]]
    )

    def shown(most: int | None = None, *, on: bool = True) -> list[str]:
        scored = score(batch, MadeUpText(), LRUCache(100), reduce=distinct if on else None, max_tags=most, tau=20.0)
        return labels(list(scored.tags[0]))

    assert len(shown(on=False)) == 6
    assert sorted(label[:2] for label in shown()) == ["gr", "ma", "ox"]
    assert shown(2) == shown()[:2], "the number of tags limits what is left"


def test_tags_too_weak_to_matter_are_left_alone() -> None:
    tags = [tag("ox", 0.9), tag("oxalis", 0.01)]
    assert distinct(tags, []) == tags
    assert distinct(tags, [], 0.02) == tags[:1]


def test_spelling_is_similar_at_the_beginning_and_the_end() -> None:
    assert similar_spelling("teapot", "pot")
    assert similar_spelling("Sea lion", "lion-jaw forceps")
    assert not similar_spelling("cat", "dog")
    assert not similar_spelling("owl", "bowls")
