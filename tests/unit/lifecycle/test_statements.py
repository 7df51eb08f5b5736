"""What people and exemplars say of an image becomes part of its record, and goes when it is taken back."""

from __future__ import annotations

import msgspec
import pytest

from tasks.message_parts import Judgement, Tag, Unknown
from tests.unit.lifecycle.statements_samples import gained, like, record, said, withheld
from workers.images.label_check import LONGEST, BadLabel, checked
from workers.lifecycle.composing import composed
from workers.lifecycle.record import Error, Record
from workers.lifecycle.tag_entries import tag_entries

NOTHING = Judgement()


def labels(of: Record) -> list[str]:
    return [tag.label for tag in of.tags]


def test_without_words_the_record_stays_the_very_same() -> None:
    plain = record("cat", "sofa")
    assert composed(plain, [], NOTHING) is plain


def test_an_accepted_label_comes_first_and_is_marked() -> None:
    made = composed(record("cat", "sofa"), [said("Chelsea")], NOTHING)
    assert labels(made) == ["Chelsea", "cat", "sofa"]
    assert (made.tags[0].source, made.tags[0].confidence, made.tags[0].score) == ("person", 1.0, 1.0)
    assert all(tag.source is msgspec.UNSET for tag in made.tags[1:])
    assert made.rejected is msgspec.UNSET


def test_an_accepted_label_that_the_method_found_keeps_its_scores_and_evidence_in_the_persons_spelling() -> None:
    found = Tag("egyptian cat", 0.4, 0.3, 0.2, (0, 2), 0.6)
    made = composed(record("sofa", found), [said("Egyptian  Cats")], NOTHING)
    assert labels(made) == ["Egyptian  Cats", "sofa"]
    first = made.tags[0]
    assert (first.score, first.evidence, first.confidence, first.source) == (0.4, (0, 2), 1.0, "person")


def test_a_rejected_label_goes_in_any_spelling_and_is_named() -> None:
    made = composed(record("Cats", "sofa"), [said("cat", accepted=False)], NOTHING)
    assert labels(made) == ["sofa"]
    assert made.rejected == ("cat",)


def test_what_was_taken_back_goes_from_a_record_that_contains_it() -> None:
    first = composed(record("cat"), [said("Chelsea"), said("dog", accepted=False)], NOTHING)
    again = composed(first, [], NOTHING)
    assert labels(again) == ["cat"]
    assert again.rejected is msgspec.UNSET


def test_composing_twice_changes_nothing_more() -> None:
    statements = [said("Chelsea"), said("sofa", accepted=False)]
    once = composed(record("cat", "sofa"), statements, gained(like("tabby")))
    assert composed(once, statements, NOTHING) == once


def test_a_gained_label_names_its_exemplar_and_stands_by_its_confidence() -> None:
    likeness = like("Chelsea", 0.85)
    made = composed(record("cat", "sofa"), [], gained(likeness))
    assert labels(made) == ["cat", "Chelsea", "sofa"]
    assert (made.tags[1].source, made.tags[1].confidence, made.tags[1].example) == ("example", 0.85, likeness)


def test_a_gained_label_strengthens_a_tag_of_the_method_and_never_weakens_it() -> None:
    stronger = composed(record("cat"), [], gained(like("cat", 0.95)))
    assert (stronger.tags[0].confidence, stronger.tags[0].source, stronger.tags[0].score) == (0.95, "example", 0.5)
    weaker = composed(record("cat"), [], gained(like("cats", 0.5)))
    assert (weaker.tags[0].confidence, weaker.tags[0].source) == (0.9, msgspec.UNSET)


def test_a_withheld_label_goes_but_is_not_rejected_by_a_person() -> None:
    made = composed(record("cats", "sofa"), [], withheld(like("cat")))
    assert labels(made) == ["sofa"]
    assert made.rejected is msgspec.UNSET


def test_a_person_counts_more_than_any_exemplar() -> None:
    kept = composed(record(), [said("Chelsea")], withheld(like("chelsea")))
    assert labels(kept) == ["Chelsea"]
    away = composed(record(), [said("Chelsea", accepted=False)], gained(like("Chelsea", 0.99)))
    assert labels(away) == []


def test_an_unknown_image_is_known_once_somebody_names_it_and_unknown_for_the_old_reason_when_not() -> None:
    nothing = msgspec.structs.replace(record(), unknown_because=Unknown("no-near-caption", None, 0.1, 0.2))
    named = composed(nothing, [said("Chelsea")], NOTHING)
    assert not named.unknown
    assert named.unknown_because is None
    rejected = composed(nothing, [said("Chelsea", accepted=False)], NOTHING)
    assert rejected.unknown
    assert rejected.unknown_because == nothing.unknown_because


@pytest.mark.parametrize("why", [([said("cat", accepted=False)], NOTHING), ([], withheld(like("cat")))])
def test_an_image_without_tags_says_that_they_were_rejected(why: tuple[list[object], Judgement]) -> None:
    made = composed(record("cat"), *why)  # type: ignore[arg-type]  # statements
    assert made.unknown
    assert made.unknown_because == Unknown("rejected")


def test_a_record_without_tags_to_say_anything_of_stays_as_it_is() -> None:
    failed = msgspec.structs.replace(record(), state="failed", error=Error("corrupt", "made up"))
    assert composed(failed, [said("Chelsea")], gained(like("cat"))) is failed


def test_a_rejected_label_does_not_find_the_image_even_if_another_tag_implies_it() -> None:
    tabby = Tag("tabby", 0.5, 0.5, 0.5, (0,), 0.9)
    plain = record(tabby, captions=("tabby, a kind of domestic cat",))
    assert "cat" in {entry.form for entry in tag_entries(plain)}
    made = composed(plain, [said("Cats", accepted=False)], NOTHING)
    assert labels(made) == ["tabby"]
    assert "cat" not in {entry.form for entry in tag_entries(made)}


def test_a_record_with_words_is_read_back_as_it_was_written() -> None:
    made = composed(record("cat"), [said("Chelsea"), said("dog", accepted=False)], gained(like("sofa")))
    assert msgspec.json.decode(made.json(), type=Record) == made
    assert b'"source":"example"' in made.json()
    assert b'"source":null' not in made.json()


@pytest.mark.parametrize(
    ("given", "clean"),
    [(" Moka   pot\n", "Moka pot"), ("Cafe\u0301", "Caf\u00e9"), ("猫", "猫"), ("7", "7")],
)
def test_a_label_is_stored_without_needless_blanks_and_in_one_normalisation(given: str, clean: str) -> None:
    assert checked(given) == clean


@pytest.mark.parametrize(
    "label", ["", "  ", "-", "…!", "a\x00b", "\x1b[31mred", "\u202etac", "\ud800", "x" * (LONGEST + 1)]
)
def test_a_label_that_says_nothing_or_could_do_harm_is_refused(label: str) -> None:
    with pytest.raises(BadLabel):
        checked(label)
