"""The thresholds of words, synonym and head noun, from pairs of words that WordNet's list relates.

The list (``vectordb.starter``) says of each noun what it is a kind of. That gives pairs whose truth is known:

- *synonyms*: two names of one thing, "commuter" and "commuter train", both a kind of passenger train
- *near-siblings*: two kinds of one thing that share a word, "heath aster" and "New York aster"
- *siblings*: two of at least ``FAMILY`` kinds of one thing that share no word
- *strangers*: words of different pairs
- *right nouns*: "slope" for "ski slope", which the list calls a kind of slope
- *wrong nouns*: "lion" for "aphid lion", which is no lion as far as the list knows

A wrong merge hides a tag, so wrong pairs place the synonym threshold; synonyms only say whether it is of any use.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.encoders.protocols import Floats
from tasks.nouns import climbed
from tasks.thresholds.derived import Threshold

PAIRS = 400  # of each kind at most: a share is then known to within two or three percent
LEAST_PAIRS = 100  # of each kind
FAMILY = 20  # in a larger family two members are seldom synonyms
STRANGERS = 20_000
WRONG_MERGES = {"near_siblings": 0.10, "siblings": 0.01, "strangers": 0.001}  # shares that may be merged at most
RIGHT_MERGES = 0.25  # share of the synonyms that must be merged
_STEPS = 12  # from a noun upwards; the list has no longer chains of use

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class WordPairs:
    """Pairs of words, by what the list knows of them. ``strangers`` are made of the words of the others."""

    synonyms: Pairs
    near_siblings: Pairs
    siblings: Pairs
    right_nouns: Pairs
    wrong_nouns: Pairs

    def words(self) -> list[str]:
        """Every word once, in a fixed order."""
        kinds = (self.synonyms, self.near_siblings, self.siblings, self.right_nouns, self.wrong_nouns)
        return list(dict.fromkeys(word for pairs in kinds for pair in pairs for word in pair))


def word_pairs(known: Iterable[tuple[str, str]], most: int = PAIRS) -> WordPairs:
    """Choose at most ``most`` pairs of each kind from (noun, broader noun). Deterministic."""
    known = list(known)
    above: dict[str, set[str]] = defaultdict(set)
    families: dict[str, list[str]] = defaultdict(list)
    for noun, broader in known:
        above[noun].add(broader)
        families[broader].append(noun)
    draw = random.Random(0)  # noqa: S311 -- a fixed sample
    synonyms, right, wrong = list[tuple[str, str]](), list[tuple[str, str]](), list[tuple[str, str]]()
    for noun, broader in known:
        first, _, last = noun.rpartition(" ")
        if first in above and broader in above[first]:
            synonyms.append((noun, first))
        if first and noun.endswith(f" {broader}"):
            right.append((noun, broader))
        elif first and last in above and last not in climbed(noun, lambda one: above.get(one, ()), _STEPS):
            wrong.append((noun, last))
    near, far = list[tuple[str, str]](), list[tuple[str, str]]()
    for members in families.values():
        if len(members) < FAMILY:
            continue
        for _ in range(len(members) // 2):
            one, other = draw.sample(members, 2)
            shared = not set(one.lower().split()).isdisjoint(other.lower().split())
            (near if shared else far).append((one, other))
    same = {frozenset(pair) for pair in synonyms}
    near = [pair for pair in near if frozenset(pair) not in same]
    kinds = [draw.sample(pairs, min(most, len(pairs))) for pairs in (synonyms, near, far, right, wrong)]
    return WordPairs(*kinds)


def word_thresholds(pairs: WordPairs, vectors: Mapping[str, Floats]) -> tuple[Threshold, Threshold]:
    """The thresholds for synonyms and head nouns. ``vectors``: the unit vector (d,) of each word.

    *Synonym*: the lowest cosine above which at most ``WRONG_MERGES`` of the wrong pairs lie. Off if fewer than
    ``RIGHT_MERGES`` of the synonyms lie above it: then the space does not tell them apart.

    *Head*: the median cosine of synonyms, not below the synonym threshold. A noun alone then differs from the whole
    name no more than two names of one thing usually do. Off if wrong nouns pass as often as right ones.
    """
    kinds = {
        "synonyms": pairs.synonyms, "near_siblings": pairs.near_siblings, "siblings": pairs.siblings,
        "right_nouns": pairs.right_nouns, "wrong_nouns": pairs.wrong_nouns,
    }  # fmt: skip
    few = {name: len(found) for name, found in kinds.items() if len(found) < LEAST_PAIRS}
    if few:
        name, count = next(iter(few.items()))
        reason = f"too few words: {count} pairs of {name.replace('_', ' ')}, at least {LEAST_PAIRS} are needed"
        return Threshold(None, reason), Threshold(None, reason)
    cosines = {name: _cosines(found, vectors) for name, found in kinds.items()}
    cosines["strangers"] = _strangers(pairs, vectors)
    limits = {name: float(np.quantile(cosines[name], 1 - share)) for name, share in WRONG_MERGES.items()}
    synonym = round(max(limits.values()), 4)
    merged = {f"{name}_merged": _share(cosines[name], synonym) for name in ("synonyms", *WRONG_MERGES)}
    numbers = {"pairs": float(sum(map(len, kinds.values()))), **merged}
    if merged["synonyms_merged"] < RIGHT_MERGES:
        reason = (
            f"the space does not tell synonyms from other words: above {synonym:.3f}, where few others are, are"
            f" {merged['synonyms_merged']:.0%} of the synonyms; {RIGHT_MERGES:.0%} are needed"
        )
        return Threshold(None, reason, numbers), Threshold(None, "tags are not merged: no synonym threshold")
    head = round(max(synonym, float(np.median(cosines["synonyms"]))), 4)
    named = {f"{name}_named": _share(cosines[name], head) for name in ("right_nouns", "wrong_nouns")}
    if named["right_nouns_named"] <= named["wrong_nouns_named"]:
        reason = "the space does not tell right nouns from wrong ones"
        return Threshold(synonym, "", numbers), Threshold(None, reason, named)
    return Threshold(synonym, "", numbers), Threshold(head, "", named)


def _cosines(pairs: Pairs, vectors: Mapping[str, Floats]) -> Floats:
    one = np.stack([vectors[first] for first, _ in pairs])
    other = np.stack([vectors[second] for _, second in pairs])
    cosines: Floats = (one * other).sum(axis=1)
    return cosines


def _strangers(pairs: WordPairs, vectors: Mapping[str, Floats]) -> Floats:
    """Cosines of words of different pairs."""
    firsts = [first for found in (pairs.synonyms, pairs.near_siblings, pairs.siblings) for first, _ in found]
    rows = np.stack([vectors[word] for word in firsts])
    draw = np.random.default_rng(0)
    one, other = draw.integers(0, len(rows), (2, STRANGERS))
    apart = one != other
    cosines: Floats = (rows[one[apart]] * rows[other[apart]]).sum(axis=1)
    return cosines


def _share(cosines: Floats, threshold: float) -> float:
    return round(float((cosines > threshold).mean()), 4)
