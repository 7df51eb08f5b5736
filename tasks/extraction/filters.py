"""The paper's word filters, in the order and with the behaviour of the reference implementation.

Each takes and returns a text. All are applied, in the order of ``WORD_FILTERS``, to the captions of one image joined
by a space. ``FREQUENCY`` follows, then the part-of-speech filter of ``tasks.extraction.paper``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache, lru_cache

Filter = Callable[[str], str]

# words that describe the medium and not its content
PICTURE_WORDS = (
    "image", "photo", "picture", "thumbnail", "logo", "symbol", "clipart", "portrait", "painting", "illustration",
    "icon", "profile",
)  # fmt: skip
SHORTEST = 3  # letters
OFTEN = 2  # words that occur only once are mostly noise

_TOKEN = re.compile(r"<[^>]+>")  # placeholders in anonymised captions, such as <PERSON>
_URL = re.compile(r"http\S+")
_SPECIAL = re.compile(r"[^\w\s.'&-]")
_EXTENSION = re.compile(r"\.\w+")
_SEPARATOR = re.compile(r"[_-]")
_NOT_A_LETTER = re.compile(r"[^a-zA-Z\s]")  # also removes letters with accents, as in the paper
_PICTURE = re.compile(rf"\b(?:{'|'.join(PICTURE_WORDS)})\b", re.IGNORECASE)


def drop_tokens(text: str) -> str:
    """Remove text in angle brackets."""
    return _TOKEN.sub("", text)


def drop_urls(text: str) -> str:
    """Remove URLs."""
    return _URL.sub("", text)


def drop_special_characters(text: str) -> str:
    """Keep only word characters, white space, full stops, apostrophes, ampersands and hyphens."""
    return _SPECIAL.sub("", text)


def drop_file_extensions(text: str) -> str:
    """Remove any word that directly follows a full stop."""
    return _EXTENSION.sub("", text)


def replace_separators(text: str) -> str:
    """Replace underscores and hyphens by spaces."""
    return _SEPARATOR.sub(" ", text)


def drop_short_words(text: str) -> str:
    """Keep words of at least three characters, separated by one space."""
    return " ".join([word for word in text.split() if len(word) >= SHORTEST])


def drop_non_alpha(text: str) -> str:
    """Keep only the letters a to z, in either case, and white space."""
    return _NOT_A_LETTER.sub("", text)


def to_lowercase(text: str) -> str:
    """Convert to lower case."""
    return text.lower()


def to_singular(text: str) -> str:
    """Convert each word to singular, separated by one space."""
    return " ".join([singular(word) if word.endswith("s") else word for word in text.split()])


def drop_words(text: str) -> str:
    """Remove words about the medium."""
    return _PICTURE.sub("", text)


def frequency_min_word_count(text: str) -> str:
    """Keep the words that occur at least twice; if there are none, the most frequent ones, which means all."""
    words = text.split()
    counts = Counter(words)
    least = min(OFTEN, max(counts.values(), default=0))
    return " ".join([word for word in words if counts[word] >= least])


@lru_cache(maxsize=20_000)
def singular(word: str) -> str:
    """The singular of a lower-case noun; words in -ies, -oes, -ss, -us and -is stay, as in the reference."""
    if not word.endswith("s") or word.endswith(("ss", "us", "is", "ies", "oes")):
        return word
    return str(_inflections()(word) or word)  # False: not a plural


@cache
def _inflections() -> Callable[[str], str | bool]:
    import inflect  # noqa: PLC0415 -- slow import, needed by this profile only

    return inflect.engine().singular_noun


WORD_FILTERS: tuple[Filter, ...] = (
    drop_tokens, drop_urls, drop_special_characters, drop_file_extensions, replace_separators, drop_short_words,
    drop_non_alpha, to_lowercase, to_singular, drop_words,
)  # fmt: skip
FREQUENCY: Filter = frequency_min_word_count


def apply(text: str, filters: tuple[Filter, ...] = WORD_FILTERS) -> str:
    """Apply all these filters in order."""
    for one in filters:
        text = one(text)
    return text
