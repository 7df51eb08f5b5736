"""The form of a label: the same for all spellings of one thing, and not for two things."""

from __future__ import annotations

import random
import unicodedata

import inflect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.labels.index_form import index_form
from tasks.labels.plurals import OWN_THINGS
from vectordb.starter.captions import pairs

NOUNS = sorted({noun for pair in pairs() for noun in pair})


@given(st.text(max_size=40))
def test_the_form_of_a_form_is_itself(label: str) -> None:
    form = index_form(label)
    assert index_form(form) == form
    assert bool(form) == bool(label)


@given(st.sampled_from(NOUNS), st.randoms(use_true_random=False))
def test_every_spelling_of_a_noun_has_the_same_form(noun: str, chance: random.Random) -> None:
    spelled = "".join(chance.choice((letter.upper(), letter.lower())) for letter in noun)
    spelled = "".join(chance.choice((" ", "-", "_", "  ", "\N{NO-BREAK SPACE}", "\N{NON-BREAKING HYPHEN}")) if
                      letter in " -" else letter for letter in spelled)  # fmt: skip
    spelled = spelled.replace("'", chance.choice(("'", "’", "")))
    spelled = unicodedata.normalize(chance.choice(("NFC", "NFD")), f" {spelled}\n")
    assert index_form(spelled) == index_form(noun)


def test_the_plural_of_a_noun_has_the_form_of_the_noun() -> None:
    """Plurals as inflect makes them."""
    english = inflect.engine()
    names = [n for n in NOUNS if n.split()[-1].isalpha() and n.islower() and not n.endswith(("s", "x", "z"))]
    wrong = []
    for noun in random.Random(1).sample(names, 1500):
        plural = f" {noun}".rpartition(" ")[0].strip() + " " + english.plural_noun(noun.split()[-1])
        if index_form(plural) != index_form(noun) and plural.split()[-1] not in OWN_THINGS:
            wrong.append((noun, plural, index_form(plural)))
    assert len(wrong) < 15, wrong


@pytest.mark.parametrize(
    "spellings",
    [
        "egyptian cat|Egyptian cats|egyptian-cat|EGYPTIAN  CAT|egyptian_cat|Egyptian\N{NO-BREAK SPACE}cats",
        "bus|buses|BUS", "series", "lens|lenses", "gas|gases", "woman|women", "fireman|firemen", "leaf|leaves",
        "knife|knives", "glove|gloves", "potato|potatoes", "shoe|shoes", "movie|movies", "berry|berries", "tie|ties",
        "person|people", "mouse|mice", "box|boxes", "moustache|moustaches", "church|churches", "house|houses",
        "octopus|octopuses", "taxi|taxis", "menu|menus", "iris|irises", "t-shirt|T-shirts|T shirt",
        "chalice|chalices", "young man|young men",
        "lady's slipper|lady’s slippers|ladys slipper", "größe|GRÖSSE|gro\u0308ße", "fire truck|\ufb01re trucks",
        "wine glass|wine glasses|Wine-Glasses", "waffle iron|waffle irons", "rocker arm|rocker arms",
        "\N{HEAVY BLACK HEART}|\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}", "cat|cat\N{HANGUL FILLER}|c\xadat",
        "bet alef|bet\N{HEBREW PUNCTUATION MAQAF}alef", "カメラ バッグ|カメラ・バッグ|ｶﾒﾗ･ﾊﾞｯｸﾞ",
        "children|child", "tooth|teeth", "cactus|cacti|cactuses", "olive|olives", "police", "chateau|chateaux",
    ],
)  # fmt: skip
def test_spellings_of_one_thing(spellings: str) -> None:
    assert len({index_form(one) for one in spellings.split("|")}) == 1


@pytest.mark.parametrize(
    "pair",
    [
        ("glass", "glasses"), ("reading glass", "reading glasses"), ("arm", "arms"),
        ("5", "\N{ARABIC NUMBER SIGN}5"), ("cloth", "clothes"), ("black bird", "blackbird"), ("bus", "bu"),
        ("cafe", "café"), ("lens", "len"), ("good", "goods"), ("pumice", "pumouse"), ("specimen", "speciman"),
        ("cat", "catamaran"), ("short", "shorts"), ("spectacle", "spectacles"), ("axe", "axis"), ("ass", "as"),
    ],
)  # fmt: skip
def test_different_things_have_different_forms(pair: tuple[str, str]) -> None:
    assert index_form(pair[0]) != index_form(pair[1])


@pytest.mark.parametrize("label", ["猫", "50%", "and/or", "?", "..", "-", "'", "cat:events", "a#b"])
def test_labels_of_other_kinds_keep_their_form(label: str) -> None:
    assert index_form(label) == label
