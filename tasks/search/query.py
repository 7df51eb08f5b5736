"""Reads what a person asks for: ``a red car "at night" -truck``.

Words are compared by their index forms (``tasks.labels.index_form``), so that "cars" finds "car".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.labels.index_form import folded, index_form
from tasks.search.words import EDGES

LONGEST = 4  # words of a label that is looked up; longer labels are found by their parts
MOST = 12  # words of a query that are looked up

# an opening quote must follow a blank, so that the apostrophe of 5" and the hyphen of "t-shirt" are characters
_PART = re.compile(r'(?:(?<=\s)|^)(?P<no>-?)["“„](?P<phrase>[^"“”„]+)["”“]|(?P<word>\S+)')
# words that say nothing about what a picture shows, and those for the picture itself
_STOP = """
    a an and any at by for from in into is it its my near of on or our some that the their them these this those to
    under very was we were where which while who with without your
    image images photo photograph photographs photos picture pictures show showing shows me find
"""
STOP_WORDS = frozenset(_STOP.split())


@dataclass(frozen=True)
class Query:
    """A query as it is searched.

    ``text``: what its vector is made of: without quotes and without what is excluded; empty if nothing is left.
    ``words``: index form → weight, see ``asked``. ``required`` and ``excluded``: the forms that a hit must have, and
    must not have, among its words.
    """

    text: str
    words: Mapping[str, float]
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


def read(text: str) -> Query:
    """Analyse a query. Never fails: what is not understood is a word."""
    kept: list[str] = []
    required: dict[str, None] = {}
    excluded: dict[str, None] = {}
    for part in _PART.finditer(text):
        phrase = (part["phrase"] or "").strip()
        if part["phrase"] is not None:
            if phrase:
                (excluded if part["no"] else required)[index_form(phrase)] = None
            if phrase and not part["no"]:
                kept.append(phrase)
            continue
        word: str = part["word"]
        bare = word.strip(EDGES)
        if word.startswith("-") and bare.strip("-"):
            excluded[index_form(bare.lstrip("-"))] = None
        elif bare:
            kept.append(bare)
    said = " ".join(kept)
    return Query(said, asked(said), tuple(required), tuple(excluded))


def asked(text: str) -> dict[str, float]:
    """The index forms that a text asks for: its words, and its runs of words up to ``LONGEST``.

    A form weighs the square of the share of the text's words that it has: of "red car" the form "red car" weighs 1,
    "car" 0.25. Runs do not begin or end with a stop word; a text of stop words only is taken literally.
    """
    words = folded(text).split()[:MOST]
    telling = [word not in STOP_WORDS for word in words]
    if not any(telling):
        telling = [True] * len(words)
    found: dict[str, float] = {}
    for start in range(len(words)):
        for end in range(start + 1, min(start + LONGEST, len(words)) + 1):
            if telling[start] and telling[end - 1]:
                form = index_form(" ".join(words[start:end]))
                found[form] = max(found.get(form, 0.0), (sum(telling[start:end]) / sum(telling)) ** 2)
    return found


def missing(query: Query, has: Sequence[str]) -> tuple[str, ...]:
    """The required forms that are not among the forms an image is found by."""
    return tuple(form for form in query.required if form not in has)
