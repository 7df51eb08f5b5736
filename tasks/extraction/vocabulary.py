"""Words that are not candidates, and rules for equal labels."""

from __future__ import annotations

import re
from collections.abc import Collection

from tasks.extraction.filters import PICTURE_WORDS

LONGEST = 40  # letters: longer than any real word; excludes base64


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# words about how an image was made, not what it shows
ABOUT_PICTURES = frozenset(PICTURE_WORDS) | _words(
    """
    artwork background clip close-up closeup drawing footage foreground graphic photograph photography pic rendering
    screenshot shot silhouette sketch snapshot stock vector view wallpaper watermark
    """
)

# generic heads that stand for what follows them: "a kind of bird", "a pair of shoes"
GENERIC = _words(
    """
    amount assortment back bit bottom breed bunch category centre center class collection couple dozen edge end
    example form front genus group inside item kind left lot member middle number object outside pair part piece
    right series set side something sort species stuff subject thing top type variety way
    """
)

# adjectives without visual meaning
VAGUE = _words(
    """
    amazing another available awesome beautiful best certain common cool cute different famous few favorite
    favourite fine first free funny general good gorgeous great last latest little lovely main many more most much
    nice numerous other own perfect popular pretty same second several similar single some special such surrounding
    third top total typical unidentified unknown usual various whole wonderful
    """
)

_SIGNS = "\u3040"  # from here on one character may be a word
_BETWEEN = re.compile(r"[\W_]+")


def is_word(text: str) -> bool:
    """Whether it consists of letters of any script, with apostrophes and hyphens inside."""
    letters = text.replace("'", "").replace("’", "").replace("-", "")
    return letters.isalpha() and len(letters) <= LONGEST and (len(letters) > 1 or letters >= _SIGNS)


def is_empty(lemma: str) -> bool:
    """Whether a noun has no meaning alone: it is generic or about the medium."""
    return lemma in ABOUT_PICTURES or lemma in GENERIC


def spelling(label: str) -> str:
    """A key that is equal for "teddy bear", "teddy-bear" and "teddybear"."""
    return _BETWEEN.sub("", label)


def singular_of(key: str, known: Collection[str]) -> str:
    """The known spelling that this is the plural of, otherwise itself."""
    endings = (("ies", "y"), ("es", ""), ("s", ""))
    singulars = (key.removesuffix(ending) + instead for ending, instead in endings if key.endswith(ending))
    return next((one for one in singulars if one in known), key)
