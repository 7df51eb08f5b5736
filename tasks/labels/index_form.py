"""The form of a label under which it is indexed: equal for all spellings of one thing.

"Egyptian cats", "egyptian-cat", "EGYPTIAN CAT" and "egyptian_cat" are "egyptian cat". Differences of case, of
hyphens, underscores and blanks between words, of apostrophes, of characters that are not seen, of Unicode
normalisation and of the number of the last word do not count. Blanks themselves count, because a black bird is no
blackbird, and so do accents. A plural that is a thing of its own keeps its form: "glasses" is not "glass"
(``tasks.labels.plurals.OWN_THINGS``).

The forms are stored in Redis: a change of the rules needs a new version of the Redis layout.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tasks.labels.plurals import singular

_PLAIN = re.compile(r"[a-z]+(?: [a-z]+)*")
_APOSTROPHES = re.compile("['`\N{ACUTE ACCENT}‘’‛ʻʼ′＇]")
# Unicode's dashes (category Pd), the minus sign, and the dot that Japanese writes between words
_DASHES = (
    "\\-\u058a\u05be\u1400\u1806\u2010-\u2015\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d\u301c\u3030\u30a0\u30fb"
    "\U00010ead"
)
_BETWEEN = re.compile(rf"[\s_{_DASHES}]+")
# Unicode's Default_Ignorable_Code_Point: joiners, soft hyphens, fillers, and the selectors that make emoji
# Not all of category Cf: the number signs of Arabic are seen
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_LONGEST = 8  # rounds; the rules settle in two


@lru_cache(maxsize=20_000)
def index_form(label: str) -> str:
    """The form of a label, never empty unless the label is. The form of a form is itself."""
    form = label
    for _ in range(_LONGEST):
        before, form = form, _singular(folded(form))
        if form == before:
            break
    return form or label


@lru_cache(maxsize=10_000)
def folded(label: str) -> str:
    """The form without its singular: for the beginning of a label, whose last word is not complete."""
    if _PLAIN.fullmatch(label):
        return label
    text = _APOSTROPHES.sub("", label)
    # as Unicode's NFKC_Casefold, which also drops what is invisible
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold()).casefold()
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return " ".join(_BETWEEN.sub(" ", _APOSTROPHES.sub("", text)).split())


def _singular(text: str) -> str:
    *others, last = text.rsplit(" ", 1)
    before = others[0].rsplit(" ", 1)[-1] if others else ""
    return " ".join([*others, singular(last, before)]) if last.isalpha() else text
