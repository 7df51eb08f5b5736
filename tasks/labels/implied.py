"""The broader labels that a tag implies: what it is a kind of. A search for them finds the tag, too.

They come from three sources: the captions that are the tag's evidence ("egyptian cat, a kind of domestic cat"), which
also say which sense of the word is meant; the tree of the starter list (``tasks.labels.broader``); and the head noun
of a label that is not in the list ("moka pot"). A word with several usual senses implies without evidence only what
all have in common. Labels that fit nearly everything are left out.

What is implied is stored in Redis: a change of these rules needs a new version of the Redis layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from tasks.labels.broader import TOO_GENERAL, certain, misleading, senses
from tasks.labels.definitions import head_noun, sides
from tasks.labels.index_form import folded, index_form

MOST = 6  # for one label


def implied(label: str, captions: Iterable[str] = ()) -> tuple[str, ...]:
    """The index forms of the broader labels, nearest first, ``MOST`` at most.

    ``captions``: the evidence of the label; only definitions of the label itself count. The first call loads the
    tree.
    """
    form = index_form(label)
    defined = (both for both in map(sides, captions) if both is not None)
    return _implied(folded(label), form, tuple(dict.fromkeys(up for name, up in defined if index_form(name) == form)))


@lru_cache(maxsize=10_000)
def _implied(name: str, form: str, kinds: tuple[str, ...]) -> tuple[str, ...]:
    found = dict.fromkeys(up for up in _broader(name, form, kinds) if up != form and up not in TOO_GENERAL)
    return tuple(found)[:MOST]


def _broader(name: str, form: str, kinds: tuple[str, ...]) -> Iterator[str]:
    """``name``: the label, folded. ``kinds``: what the evidence calls it."""
    known = senses(form)
    told = {index_form(kind): kind for kind in kinds}
    for sense in known:
        if sense.broader in told:
            yield sense.broader
            yield from sense.above
    listed = {sense.broader for sense in known}
    for kind in (one for one in told if one not in listed):  # in their order: a set has another in each process
        yield kind
        yield from certain(kind) or _head(folded(told[kind]), kind)
    if not known:
        yield from _head(name, form)
    elif not told:
        yield from certain(form)


def _head(name: str, form: str) -> Iterator[str]:
    noun = head_noun(name)
    if noun and noun.isalpha() and len(noun) > 1 and form not in misleading():
        yield index_form(noun)
        yield from certain(index_form(noun))
