"""Cleaning leaves a caption and nothing else, whatever came."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb.cleaning import cleaned

# everything that has to do with markup and with what is invisible, more often than chance would bring it
PIECES = st.sampled_from([
    "&", "amp;", "&amp;", "&lt;", "&gt", "&#", "x41;", "&#0;", "&#xD800;", "&NotEqualTilde;", "<", ">", "<b", "/>",
    "<!--", "\ud800", "\udc00", "\u200d", "👨", "👩", "\ufe0f", "\u202e", "\u0301", "e", "\u0958", "\ufeff", "\x00",
    "\x85", " ", "\n", "a",
])  # fmt: skip
ANY = st.text(st.characters(), max_size=60)
TEXTS = st.lists(st.one_of(PIECES, ANY), max_size=30).map("".join)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a cat", "a cat"),
        ("  a \t big\r\ncat ", "a big cat"),
        ("<b>a</b> cat<br/>asleep", "a cat asleep"),
        ("<person> and <PERSON>'s dog", "and 's dog"),
        ("fish &amp;amp; chips &lt;b&gt; caf&eacute; &#39;n&nbsp;x", "fish & chips café 'n x"),
        ("R&D at AT&T <3, 5 < 6 > 4", "R&D at AT&T <3, 5 < 6 > 4"),
        ("a\u200bb\u202ec\u2066d\ufeffe\xadf\x00g\x1bh", "abcdefgh"),
        ("cafe\u0301", "café"),
        ("half \ud83d of it", "half of it"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f a\u200db", "👨\u200d👩\u200d👧 ❤\ufe0f ab"),
        ("&l<i></i>t;b&gt;", "&l t;b>"),
        ("\ue000\U000e0041 \n", ""),
        ("", ""),
    ],
)
def test_what_is_no_caption_goes(text: str, clean: str) -> None:
    """Markup, placeholders, entities, invisible characters; what only looks like them stays."""
    assert cleaned(text) == clean


@pytest.mark.parametrize(("longest", "clean"), [(11, "a small cat"), (10, "a small"), (5, "a"), (1, "a"), (0, "")])
def test_a_long_text_is_cut_between_words(longest: int, clean: str) -> None:
    """At the last space within the bound; a word that is longer than the bound is cut."""
    assert cleaned("a small cat", longest) == clean
    assert cleaned("á small cat", longest).replace("á", "a") == clean
    assert cleaned("x" * 5000) == "x" * 1000


@given(TEXTS, st.integers(1, 80))
def test_what_is_clean_stays_and_is_bounded(text: str, longest: int) -> None:
    """Cleaning twice changes nothing more; the result is short, NFC, one line, and nothing in it is invisible."""
    clean = cleaned(text, longest)
    assert cleaned(clean, longest) == clean
    assert len(clean) <= longest
    assert unicodedata.is_normalized("NFC", clean)
    assert clean == " ".join(clean.split())
    assert {unicodedata.category(c) for c in clean if c != "\u200d"}.isdisjoint({"Cc", "Cf", "Cs", "Co"})
    clean.encode()  # which no unpaired surrogate could be


def test_every_invisible_character_of_unicode_goes_and_no_other() -> None:
    """The ranges are written by hand: Python's own tables are the judge."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        category = unicodedata.category(character)
        left = cleaned(f"x{character}x", 10)
        if category in {"Cc", "Cf", "Cs", "Co"}:
            assert left in {"xx", "x x"}, hex(code)
        elif category[0] in "LNPS" and not category.startswith("Z"):
            assert left == unicodedata.normalize("NFC", f"x{character}x"), hex(code)


@pytest.mark.parametrize("evil", ["&amp;", "&am", "<", "<a", "&#", "&a<b>mp;", "&amp", "\u200d", "&a\u200bmp;"])
def test_no_text_takes_long(evil: str) -> None:
    """Megabytes that are made to be parsed again and again."""
    start = time.process_time()
    assert len(cleaned(evil * 1_000_000)) <= 1000
    assert time.process_time() - start < 5
