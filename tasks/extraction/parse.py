"""Extracts the noun phrases of a caption.

A definition ("bell pepper, a kind of sweet pepper") is split without parsing: both sides are names. All other
captions are parsed as written. Nouns are processed from the right, so that a head takes its compounds and adjectives
before they could become heads. A generic head ("photo", "kind") is skipped, so "dog photo" gives "dog".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tasks.extraction.boilerplate import described
from tasks.extraction.vocabulary import VAGUE, is_empty, is_word
from tasks.labels.definitions import head_noun, sides

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

CHARACTERS = 6_000  # about 1,000 words: what follows is not a caption's subject
LONGEST_PHRASE = 4  # words
MODIFIERS = frozenset({"NOUN", "PROPN", "ADJ", "VERB", "X"})


class Phrase(NamedTuple):
    """A label in lower case. ``head``: the bare noun of a longer phrase; ``broader``: from a definition."""

    label: str
    head: bool = False
    broader: bool = False


_NOISE_WORDS = re.compile(r"<[^>]*>|(?:https?:|www\.)\S+", re.IGNORECASE)
_NOISE = re.compile(r"<[^>]*>|(?:https?:|www\.)\S+|\.(?:jpe?g|png|gif|webp|tiff?|bmp)\b", re.IGNORECASE)
_BREAK = re.compile(r"\s*[|•·–—#]+\s*|\s+-+\s+|\s*\.\.\.+\s*")
_SYMBOL = re.compile(r"[^\w\s.,;:!?'’&()\"/-]|_")


def definition(caption: str) -> list[Phrase] | None:
    """The two sides of "X, a kind of Y" or "X is a kind of Y"; ``None`` for any other caption."""
    both = sides(caption)
    if both is None:
        return None
    name, broader = both
    if not all(_is_name(side) for side in (name, broader)):
        return None
    found = [Phrase(name), *_head(name), Phrase(broader, broader=True), *_head(broader, broader=True)]
    return [phrase for phrase in dict.fromkeys(found) if not is_empty(phrase.label)]


def clean(caption: str) -> str:
    """Prepare text for the parser: no boilerplate, URLs, placeholders, emoji or shouting; commas as separators."""
    text = described(_NOISE_WORDS.sub(" ", caption[:CHARACTERS]))
    text = _NOISE.sub(" ", text)
    text = _SYMBOL.sub(" ", _BREAK.sub(" , ", text))
    text = " ".join(text.split())
    return text.lower() if text.isupper() else text


def noun_phrases(document: Doc) -> list[Phrase]:
    """The phrases of a parsed caption, in the order of the text, without repetitions."""
    found: list[Phrase] = []
    taken: set[int] = set()
    for token in reversed(list(document)):
        if token.i in taken or token.pos_ not in {"NOUN", "PROPN"} or not _names_something(token):
            continue
        modifiers = _modifiers(token)
        taken.update(one.i for one in modifiers)
        first = modifiers[0] if modifiers else token
        if _hyphenated(token) or (first.i and _is_hyphen(document[first.i - 1])):
            continue  # part of a word such as "state-of-the-art"
        found.extend(phrase for phrase in reversed(list(_phrases(token, modifiers))) if not is_empty(phrase.label))
    if not found:
        found = [Phrase(token.lower_) for token in reversed(list(document)) if _stands_alone(token)]
    return list(dict.fromkeys(reversed(found)))


def _phrases(head: Token, modifiers: list[Token]) -> Iterator[Phrase]:
    """From the longest phrase to the head alone: "red bell pepper", "bell pepper", "pepper"."""
    lemma = head.lemma_.lower()
    for start in range(max(0, len(modifiers) + 1 - LONGEST_PHRASE), len(modifiers)):
        if start == 0 or not _hyphenated(modifiers[start - 1]):
            yield Phrase(_joined(modifiers[start:], lemma))
    if not modifiers:
        yield Phrase(lemma)
    elif not _hyphenated(modifiers[-1]):
        yield Phrase(lemma, head=True)


def _joined(modifiers: list[Token], lemma: str) -> str:
    """The modifiers as written, in lower case, and the head's lemma."""
    return "".join([one.lower_ + ("-" if _hyphenated(one) else " ") for one in modifiers]) + lemma


def _modifiers(head: Token) -> list[Token]:
    """The adjectives and nouns directly before the head that belong to it, in the order of the text."""
    modifiers: list[Token] = []
    within = {head.i}
    at = head.i - 1
    while at >= 0:
        token = head.doc[at]
        if _is_hyphen(token) and at:
            at -= 1
            token = head.doc[at]
            fits = is_word(token.text) or len(token.text) == 1
        else:
            fits = is_word(token.text) and token.dep_ in {"compound", "amod", "nmod"} and token.head.i in within
        if not fits or token.pos_ not in MODIFIERS or token.lower_ in VAGUE:
            break
        modifiers.insert(0, token)
        within.add(at)
        at -= 1
    return modifiers


def _is_hyphen(token: Token) -> bool:
    """Whether the token is a hyphen inside a word."""
    return token.text == "-" and not token.whitespace_ and token.i > 0 and not token.doc[token.i - 1].whitespace_


def _hyphenated(token: Token) -> bool:
    """Whether a hyphen joins the token to the next word."""
    following = token.i + 1
    return following < len(token.doc) and _is_hyphen(token.doc[following])


def _names_something(token: Token) -> bool:
    return is_word(token.text) and not is_empty(token.lemma_.lower()) and not token.like_url


def _stands_alone(token: Token) -> bool:
    return _names_something(token) and not token.is_stop


def _head(name: str, *, broader: bool = False) -> list[Phrase]:
    """The last word before a complement, if there are others: "cloth" of "linen cloth for tables"."""
    last = head_noun(name)
    return [Phrase(last, head=True, broader=broader)] if last and is_word(last) else []


def _is_name(text: str) -> bool:
    words = text.split()
    return 0 < len(words) <= LONGEST_PHRASE + 1 and any(letter.isalpha() for letter in text)
