"""The header of a table of text: below which rows it stands, and rows of unknown names."""

from __future__ import annotations

from collections import Counter

from vectordb.readers.content import CAPTIONS, kind_of, words
from vectordb.readers.names import all_known, is_header, may_be_header

TITLES = 5  # lines in which a header is looked for


def titles_above(good: list[list[str]]) -> int:
    """The number of rows above a header whose names are known: those of a title, which have no values elsewhere."""
    if len(good) < 3 or is_header(good[0]):
        return 0
    usual = Counter(map(len, good[1:])).most_common(1)[0][0]
    for count, row in enumerate(good[1 : TITLES + 1], 1):
        if len(row) == usual > 1 and is_header(row):
            above = good[:count]
            odd = any(len(one) != usual or not all(one) or one[0].startswith("#") for one in above)
            return count if odd or all_known(row) else 0
    return 0


def differs(first: list[str], body: list[list[str]]) -> bool:
    """Whether a row of names stands above values of other kinds: it is a header in words that are not known."""
    if len(body) < 2 or len(first) < 2 or not may_be_header(first):
        return False
    for i, name in enumerate(first):
        values = [row[i] for row in body]
        kind = kind_of(values)
        if kind != CAPTIONS and kind_of([name]) != kind:
            return True
        if (
            kind == CAPTIONS
            and words(values) >= 3
            and len(name.split()) == 1
            and not any(v.strip() == name for v in values)
        ):
            return all(len(other.split()) == 1 for other in first)
    return False
