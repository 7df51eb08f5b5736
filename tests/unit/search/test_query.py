"""Shows what a query asks for: its words and runs of words, quoted phrases and exclusions."""

from __future__ import annotations

import pytest

from tasks.search.query import LONGEST, MOST, asked, missing, read


def test_a_longer_run_of_the_query_weighs_more_and_stop_words_nothing() -> None:
    assert asked("a photo of red cars") == {"red": 0.25, "red car": 1.0, "car": 0.25}


def test_a_run_may_contain_a_stop_word_but_not_begin_or_end_with_one() -> None:
    assert asked("statue of liberty") == {"statue": 0.25, "statue of liberty": 1.0, "liberty": 0.25}


def test_a_query_of_stop_words_only_is_taken_literally() -> None:
    assert asked("picture") == {"picture": 1.0}


def test_a_very_long_query_asks_for_a_bounded_number_of_forms() -> None:
    assert len(asked(" ".join(chr(97 + at) * 3 for at in range(25)))) <= MOST * LONGEST


def test_quoted_phrases_are_required_and_words_after_a_hyphen_excluded() -> None:
    query = read('a red car "at night" -trucks -"fire engine"')
    assert query.text == "a red car at night"
    assert query.required == ("at night",)
    assert query.excluded == ("truck", "fire engine")
    assert query.words["red car"] > query.words["car"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("t-shirt", "t-shirt"), ('a 5" disk', 'a 5 disk'), ('"', ""), ('""', ""), ("-", "-"), ("", ""), ("  ", ""),
        ("dog, cat.", "dog cat"), ("„Kölner Dom“", "Kölner Dom"), ('cat "dog', "cat dog"), ("--", "--"),
    ],
)  # fmt: skip
def test_what_looks_like_an_operator_and_is_none_stays_a_word(text: str, kept: str) -> None:
    query = read(text)
    assert query.text == kept
    assert query.excluded == ()


def test_an_image_lacks_the_required_forms_that_it_is_not_found_by() -> None:
    query = read('"red car" "night"')
    assert missing(query, ["night", "car"]) == ("red car",)
    assert missing(query, ["night", "red car"]) == ()
