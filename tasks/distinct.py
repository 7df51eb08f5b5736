"""Distinct tags: of tags that exclude each other, or that share nothing but letters, one is enough.

Applied from the strongest tag on; the strength of a tag is its confidence, or its score without one. One thing in two
spellings is one tag. Three rules:

- Siblings such as "harpy" and "harrier eagle" exclude each other. The strongest stays if it stands out, otherwise
  their nearest common broader noun replaces them all, as sure as the surest of them. The sum of their confidences
  would overstate it, because they are often wrong together (``ops/decisions/0026-distinct-tags.md``).
- A look-alike such as "oxalis" beside "ox" gives way if no broader noun ties the two and the image's captions do not
  name it better: sentence encoders place words of similar spelling near to each other.
- A general word such as "animal" gives way to any kind of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from tasks.labels.index_form import index_form
from tasks.message_parts import Hit, Tag
from tasks.nouns import Nouns, kinds_of

LEAD = 0.1  # a tag stands out if it is stronger by this
STEPS = 3  # to the broader noun of siblings
FAMILY = 120  # kinds of the broader noun of siblings: an eagle has 13, a bird of prey 103, a bird 1,440
GENERAL = 1000  # nouns with more kinds are general
TIED_STEPS, TIED_KINDS = 4, 2000  # as STEPS and FAMILY, for what ties look-alikes together
BETTER = 0.02  # by this cosine a look-alike must be named better than the tag it resembles
SAME_LETTERS = 4  # at the beginning of words that look alike
WEAKEST = 0.02  # weaker tags are left alone: they are no rivals, and there are many
_DIGITS = 6
_BETWEEN = re.compile(r"[\W_]+")


def distinct(tags: Sequence[Tag], hits: Sequence[Hit], least: float = 0.0) -> list[Tag]:
    """The distinct ones of an image's tags, strongest first, without those below ``least``.

    ``tags``: all tags of the image, strongest first; those below ``least`` may be rivals, too. A broader noun that is
    no tag itself has the scores and the evidence of its kinds together.
    """
    nouns = Nouns(hit.caption for hit in hits)
    left = [tag for tag in tags if tag.strength >= WEAKEST]
    weak = [tag for tag in tags[len(left) :] if tag.strength >= least]
    shown: list[Tag] = []
    stronger: list[Tag] = []  # those that were replaced by a broader noun included
    while left:
        best = left.pop(0)
        rivals = [other for other in left if _exclude(best, other, nouns)]
        broader = _replaced_by(best, rivals, nouns)
        if broader is not None:
            members = [tag for tag in (best, *left) if broader in nouns.above(tag.label)]
            left = [tag for tag in left if tag not in members]
            if not any(broader in nouns.above(tag.label) for tag in shown):
                itself = next((tag for tag in (*members, *weak) if tag.label == broader), None)
                left = _inserted(_any_of(broader, itself, members, nouns), left)
            stronger += members
            continue
        excluded = any(_is(best, tag) or _exclude(best, tag, nouns) for tag in shown)
        if not excluded and not any(_looks_like(best, tag, nouns, hits) for tag in stronger):
            shown.append(best)
        stronger.append(best)
    sure = sorted((tag for tag in shown if tag.strength >= least), key=lambda tag: -tag.strength)
    named = {tag.label for tag in sure}
    weak = [tag for tag in weak if tag.label not in named]  # a broader noun may be among them
    return [tag for tag in sure if not _says_nothing_beside(tag, sure, nouns)] + weak


def _replaced_by(best: Tag, rivals: Sequence[Tag], nouns: Nouns) -> str | None:
    """The common broader noun of the best tag and its strongest rival, unless the best stands out."""
    if not rivals or rivals[0].strength < best.strength - LEAD:
        return None
    return nouns.common(best.label, rivals[0].label, steps=STEPS, kinds=FAMILY)


def _is(one: Tag, other: Tag) -> bool:
    """Whether they are one thing in two spellings: "woman" and "women"."""
    return index_form(one.label) == index_form(other.label)


def _exclude(one: Tag, other: Tag, nouns: Nouns) -> bool:
    """Whether they are different kinds of one narrow noun."""
    if nouns.related(one.label, other.label):
        return False
    return nouns.common(one.label, other.label, steps=STEPS, kinds=FAMILY) is not None


def _any_of(broader: str, itself: Tag | None, members: Sequence[Tag], nouns: Nouns) -> Tag:
    """The tag for "any of these kinds", strongest first. ``itself``: the tag of the broader noun, if there is one.

    Scores are shares and add up. Only the narrowest kinds count, since a noun has the share of its kinds. Captions
    may define nouns by each other ("a dog, a kind of cat" and the reverse): then all kinds count.
    """
    kinds = [tag for tag in members if tag is not itself]
    narrowest = [
        tag for tag in kinds if not any(other is not tag and tag.label in nouns.above(other.label) for other in kinds)
    ] or kinds
    score, image, text = (
        round(min(1.0, sum(values)), _DIGITS)
        for values in zip(*[(tag.score, tag.image_score, tag.text_score) for tag in narrowest], strict=True)
    )
    sure = members[0].confidence
    evidence = tuple(sorted({at for tag in (*members, *((itself,) if itself else ())) for at in tag.evidence}))
    # without a confidence the score is the strength, which must not fall below that of the kinds
    if itself is not None and (sure is not None or itself.score >= score):
        return msgspec.structs.replace(itself, confidence=sure, evidence=evidence)
    return Tag(broader, score, image, text, evidence, sure)


def _inserted(tag: Tag, ordered: Sequence[Tag]) -> list[Tag]:
    """Into a list that is ordered by strength, behind equal ones."""
    return sorted([*ordered, tag], key=lambda one: -one.strength)


def _looks_like(tag: Tag, better: Tag, nouns: Nouns, hits: Sequence[Hit]) -> bool:
    """Whether nothing but its spelling, which resembles that of a better tag, speaks for a tag."""
    if not similar_spelling(tag.label, better.label) or nouns.related(tag.label, better.label):
        return False
    if nouns.common(tag.label, better.label, steps=TIED_STEPS, kinds=TIED_KINDS) is not None:
        return False
    return _named_by(tag, hits) <= _named_by(better, hits) + BETTER


def _named_by(tag: Tag, hits: Sequence[Hit]) -> float:
    """The similarity of the image and the best caption that names the tag."""
    return max((hits[at].similarity for at in tag.evidence), default=-1.0)


def similar_spelling(one: str, other: str) -> bool:
    """Whether a word of one begins or ends with a word of the other, or two begin with the same letters.

    "ox" and "oxalis", "panda" and "panda car", "macaw" and "macaroni".
    """
    return any(_similar(mine, yours) for mine in _words(one) for yours in _words(other))


@lru_cache(maxsize=5000)
def _words(label: str) -> tuple[str, ...]:
    return tuple(filter(None, _BETWEEN.split(label.lower())))


def _similar(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if long.startswith(short) and len(short) >= 2:
        return True
    if long.endswith(short) and len(short) >= 3:
        return True
    return len(short) >= SAME_LETTERS and short[:SAME_LETTERS] == long[:SAME_LETTERS]


def _says_nothing_beside(tag: Tag, others: Sequence[Tag], nouns: Nouns) -> bool:
    """Whether a tag is a general word of which another tag is a kind."""
    if kinds_of(tag.label) <= GENERAL:
        return False
    return any(other is not tag and tag.label in nouns.above(other.label) for other in others)
