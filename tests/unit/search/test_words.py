"""Shows by which words an image is found, and how strongly."""

from __future__ import annotations

from tasks.search.query import asked
from tasks.search.words import IMPLIED, NAME, SEGMENT, WRITTEN, matching, whole_name, words_of


def test_a_tag_weighs_its_confidence_and_what_it_implies_less() -> None:
    found = words_of([("Egyptian cats", 0.8, ["egyptian cat, a kind of domestic cat"])])
    assert found["egyptian cat"] == 0.8
    assert found["domestic cat"] == 0.8 * IMPLIED


def test_a_form_found_in_several_ways_has_its_best_weight() -> None:
    found = words_of([("cat", 0.3, [])], segments=[("cat", 0.9, [])], key="photos/cat.jpg")
    assert found["cat"] == max(0.3, SEGMENT * 0.9, NAME)


def test_names_of_files_give_words_and_pairs_but_not_what_cameras_call_them() -> None:
    found = words_of(key="2024/HolidayBeach/IMG_1234-red_cars.jpg")
    whole = "img 1234 red cars.jpg"
    assert {"red", "car", "red car", "holiday", "beach", "holiday beach", whole} == found.keys()
    assert words_of(key="DCIM/DSC01234.JPG") == {"dsc01234.jpg": NAME}
    assert words_of(key=".hidden") == {"hidden": NAME}


def test_a_whole_file_name_is_one_form_in_any_spelling() -> None:
    for name in ("p017.jpg", "a/b/P017.JPG"):
        assert whole_name(name) == "p017.jpg"
    assert whole_name("my photo 1.jpeg") in words_of(key="uploads/x", file_name="My_Photo-1.JPEG")
    for none in ("a red car", "p017", "f/1.8", ".jpg", "a car. A dog", "019a0cafe1face2dead3bee4fab5add6.jpg"):
        assert whole_name(none) == ""


def test_what_a_person_wrote_is_found_whole_and_by_its_words() -> None:
    found = words_of(written=["Grandma's birthday cake"])
    assert found["grandmas birthday cake"] == WRITTEN
    assert "birthday cake" in found


def test_weights_stay_above_zero_and_at_most_one() -> None:
    found = words_of([("dog", 0.0, []), ("cat", 7.0, [])])
    assert 0 < found["dog"] < 0.1
    assert found["cat"] == 1.0


def test_the_score_is_the_sum_of_products_over_shared_forms() -> None:
    has = words_of([("red car", 0.8, [])])
    assert matching(asked("red car"), has) == 0.8 + 0.25 * 0.8 * IMPLIED  # "car" is implied by its head noun
    assert matching(asked("boat"), has) == 0


def test_ids_and_numbers_that_a_person_wrote_are_found_as_a_query_has_them() -> None:
    found = words_of(written=["Order-4711/B", "(best of 2019)."])
    assert {"order 4711/b", "4711/b", "order", "2019", "best"} <= found.keys()
    assert "" not in found
    for text in ("Order-4711/B", "2019"):
        assert asked(text).keys() & found.keys()


def test_the_name_of_an_uploaded_file_gives_words_as_a_key_does() -> None:
    key = "uploads/019a0cafe1face2dead3bee4fab5add6.jpg"
    assert words_of(key=key) == words_of(key="c0ffee1e-face-4bad-8dad-0123456789ab.png") == {}
    assert words_of(key=key, file_name="red_car.jpg") == words_of(key="red_car.jpg")
