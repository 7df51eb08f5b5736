"""Shows what each of the paper's filters does to tricky captions, and that none can be made to fail."""

from __future__ import annotations

from itertools import islice, product
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.extraction import filters
from tasks.extraction.filters import FREQUENCY, PICTURE_WORDS, WORD_FILTERS, Filter, apply
from tasks.extraction.paper import words_of

CASES = [
    (filters.drop_tokens, "<PERSON> and <a b> 1 < 2", " and  1 < 2"),
    (filters.drop_tokens, "<> stays, <unclosed too", "<> stays, <unclosed too"),
    (filters.drop_urls, "see https://x.org/a?b=c#d now", "see  now"),
    (filters.drop_urls, "www.example.org stays", "www.example.org stays"),
    (filters.drop_special_characters, 'dog\'s "ball" & t-shirt, 50%!', "dog's ball & t-shirt 50"),
    (filters.drop_special_characters, "cat 😀🎉 ☃", "cat  "),
    (filters.drop_special_characters, "café_naïve", "café_naïve"),
    (filters.drop_file_extensions, "IMG_1.jpg v2.0 end.", "IMG_1 v2 end."),
    (filters.replace_separators, "black-and_white", "black and white"),
    (filters.drop_short_words, "a an  the\tox  cow", "the cow"),
    (filters.drop_non_alpha, "dog's café 3d", "dogs caf d"),
    (filters.to_lowercase, "Eiffel TOWER", "eiffel tower"),
    (filters.to_singular, "dogs churches boxes glass bus tennis", "dog church box glass bus tennis"),
    (filters.to_singular, "berries potatoes", "berries potatoes"),
    (filters.to_singular, "children men", "children men"),
    (filters.to_singular, "  dogs   chase  cats ", "dog chase cat"),
    (filters.drop_words, "a photo of a photograph", "a  of a photograph"),
    (filters.drop_words, "PORTRAIT iconic icon", " iconic "),
    # other scripts, emoji, typographic marks, possessives and hyphens, through each of them
    (filters.drop_tokens, "<日本> 犬 <PERSON>'s dog", " 犬 's dog"),
    (filters.drop_urls, "日本 https://例え.jp/犬?q=🐶 cat", "日本  cat"),
    (filters.drop_urls, "HTTP://UP.ORG stays, as in the reference", "HTTP://UP.ORG stays, as in the reference"),
    (filters.drop_special_characters, "rock’n’roll “quoted” 犬, naïve—dash", "rocknroll quoted 犬 naïvedash"),
    (filters.drop_file_extensions, "chat.noël.jpg 犬.png a.b.c", "chat 犬 a"),
    (filters.replace_separators, "t-shirt – en_dash — em", "t shirt – en dash — em"),
    (filters.drop_short_words, "日本 東京都 é è cat 🐶🐶🐶", "東京都 cat 🐶🐶🐶"),
    (filters.drop_non_alpha, "Straße 犬 dog's 🐶", "Strae  dogs "),
    (filters.to_lowercase, "ÉCOLE DOG'S T-SHIRT 犬", "école dog's t-shirt 犬"),
    (filters.to_singular, "dogs' dog's buses t-shirts", "dogs' dog' bus t-shirt"),
    (filters.to_singular, "crèmes 🐶s", "crème 🐶"),
    (filters.drop_words, "photo-realistic photo's image_1 PROFILE", "-realistic 's image_1 "),
    (filters.frequency_min_word_count, "犬 犬 cat 🐶 🐶", "犬 犬 🐶 🐶"),
    (filters.frequency_min_word_count, "cat dog cat", "cat cat"),
    (filters.frequency_min_word_count, "cat dog", "cat dog"),
    (filters.frequency_min_word_count, "", ""),
]


@pytest.mark.parametrize(("one", "text", "expected"), CASES)
def test_filter(one: Filter, text: str, expected: str) -> None:
    assert one(text) == expected


@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_captions_give_lower_case_words_of_english_letters(captions: list[str]) -> None:
    words = words_of(captions)
    assert all(word.isascii() and word.isalpha() and word == word.lower() for word in words)
    assert not set(words).intersection(PICTURE_WORDS)


@pytest.mark.parametrize("one", [*WORD_FILTERS, FREQUENCY], ids=lambda one: str(one.__name__))
@given(text=st.text(alphabet=st.sampled_from("aAsS<>.-_ 'é&😀http:/8\n"), max_size=60))
def test_applying_a_filter_again_changes_nothing(one: Filter, text: str) -> None:
    if one in {filters.drop_tokens, filters.drop_urls, filters.to_singular, filters.drop_file_extensions}:
        # what they take out may join what was apart; in the end there is nothing left to take out
        for _ in text:
            text = one(text)
    once = one(text)
    assert one(once) == once


def test_a_caption_of_a_thousand_words_keeps_what_repeats() -> None:
    once = ["".join(letters) + "n" for letters in islice(product(ascii_lowercase, repeat=3), 998)]
    caption = " ".join(["meadow", *once, "meadow"])
    assert words_of([caption]) == ["meadow", "meadow"]


def test_the_filters_are_applied_in_the_order_of_the_paper() -> None:
    assert apply("Photos of two DOGS' balls: see http://x.org/logo.png!") == " two dog ball see"
