"""Shows the fusion of ranked lists, and the reasons of a hit."""

from __future__ import annotations

import pytest

from tasks.search.fusion import CONSTANT, RankedList, fused, reason
from tasks.search.query import read


def test_an_image_that_both_lists_have_comes_before_the_first_of_either() -> None:
    near = RankedList([7, 8, 9], [0.9, 0.8, 0.7])
    words = RankedList([5, 9], [1.0, 1.0], graded=True)
    found = fused([near, words], 10)
    assert [one.id for one in found] == [9, 5, 7, 8]
    assert found[0].score == pytest.approx(1 / (CONSTANT + 3) + 1 / (CONSTANT + 1))  # equal scores share a rank


def test_ties_are_ordered_by_id_and_the_number_of_hits_is_limited() -> None:
    assert [one.id for one in fused([RankedList([4, 2, 3], [1.0, 1.0, 1.0])], 2)] == [2, 3]


def test_a_weak_match_by_words_does_not_come_before_what_is_near() -> None:
    near = RankedList([1, 2, 3], [0.9, 0.8, 0.7])
    weak = RankedList([9], [0.25], graded=True)
    assert [one.id for one in fused([near, weak], 10)] == [1, 2, 3, 9]


def test_nothing_is_found_in_no_lists() -> None:
    assert fused([], 10) == []
    assert fused([RankedList([], []), RankedList([], [], graded=True)], 10) == []


def test_a_reason_names_the_tags_of_the_best_match_first_and_the_words_that_are_no_tags() -> None:
    tags = {"automobile": ("car",), "red car": ("car",), "tree": ("plant",)}
    words = {"automobile": 0.9, "car": 0.45, "red car": 0.6, "tree": 0.5, "plant": 0.2, "paris": 0.8}
    why = reason(read("a red car in Paris"), 0.41, tags, words)
    assert why.tags == ("red car", "automobile")
    assert why.words == ("paris",)
    assert why.similarity == 0.41


def test_an_image_that_is_only_similar_has_no_other_reason() -> None:
    assert reason(read("boat"), 0.3, {"tree": ()}, {"tree": 0.9}) == reason(read("ship"), 0.3, {}, {})


def test_what_the_owner_wrote_is_a_reason_of_its_own() -> None:
    texts = [("title", "Red car in Paris"), ("id", "7")]
    words = {"red": 1.0, "car": 1.0, "red car": 1.0, "paris": 1.0, "2": 1.0}
    why = reason(read("red car 2"), None, {}, words, texts)
    assert (why.metadata, why.words) == (("title: Red car in Paris",), ("2",))
    assert reason(read("red car"), None, {}, {}, texts).metadata == ()  # such as rejected words
