"""The form of a label under which it is indexed: equal for all spellings of one thing.

"Egyptian cats", "egyptian-cat", "EGYPTIAN CAT" and "egyptian_cat" are "egyptian cat". Differences of case, of
hyphens, underscores and blanks between words, of apostrophes, of Unicode normalisation and of the number of the last
word do not count. Blanks themselves count, because a black bird is no blackbird, and so do accents. A plural that is
a thing of its own keeps its form: "glasses" is not "glass" (``tasks.labels.plurals.OWN_THINGS``).

The forms are stored in Redis: a change of the rules needs a new version of the Redis layout.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tasks.labels.plurals import singular

_PLAIN = re.compile(r"[a-z]+(?: [a-z]+)*")
_APOSTROPHES = re.compile("['`\N{ACUTE ACCENT}‘’‛ʻʼ′＇]")
_BETWEEN = re.compile(r"[\s_\N{HYPHEN-MINUS}\N{ARMENIAN HYPHEN}\N{HYPHEN}-\N{HORIZONTAL BAR}\N{MINUS SIGN}]+")
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
    text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join(_BETWEEN.sub(" ", _APOSTROPHES.sub("", text)).split())


def _singular(text: str) -> str:
    *others, last = text.rsplit(" ", 1)
    return " ".join([*others, singular(last)]) if last.isalpha() else text
