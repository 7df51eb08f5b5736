"""The tree of nouns: which noun is a kind of which, and how many kinds a noun has.

The definitions among an image's captions ("harpy, a kind of eagle") come first, because they give the sense that the
image suggests: a crane is a bird or a machine. Other nouns are looked up in the starter list, which has all its
senses. A phrase that is in neither is a kind of its last word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache

from tasks.extraction.parse import definition
from vectordb.starter.captions import pairs

HIGHEST = 6  # steps up the tree

Tree = Mapping[str, tuple[str, ...]]


class Nouns:
    """The tree for one image. ``captions``: of the image; those that are no definitions are ignored."""

    def __init__(self, captions: Iterable[str]) -> None:
        self._own = _tree(filter(None, map(_sides, captions)))
        self._above: dict[str, dict[str, int]] = {}
        self._narrow: dict[tuple[str, int, int], dict[str, tuple[int, int]]] = {}

    def above(self, noun: str) -> Mapping[str, int]:
        """The noun itself and its broader nouns, each with its distance in steps, at most ``HIGHEST``."""
        if noun not in self._above:
            self._above[noun] = climbed(noun, self._broader, HIGHEST)
        return self._above[noun]

    def related(self, one: str, other: str) -> bool:
        """Whether they are equal or one is a kind of the other."""
        return one in self.above(other) or other in self.above(one)

    def common(self, one: str, other: str, *, steps: int, kinds: int) -> str | None:
        """The nearest noun within ``steps`` of both that has at most ``kinds`` kinds; ``None`` if there is none."""
        mine, theirs = self._narrowed(one, steps, kinds), self._narrowed(other, steps, kinds)
        shared = [(max(mine[noun][0], theirs[noun][0]), mine[noun][1], noun) for noun in mine.keys() & theirs.keys()]
        return min(shared, default=(0, 0, None))[2]

    def _narrowed(self, noun: str, steps: int, kinds: int) -> Mapping[str, tuple[int, int]]:
        """Distance and number of kinds of those above it that are near and narrow enough; found once for a noun."""
        key = noun, steps, kinds
        if key not in self._narrow:
            self._narrow[key] = {
                up: (distance, kinds_of(up))
                for up, distance in self.above(noun).items()
                if distance <= steps and kinds_of(up) <= kinds
            }
        return self._narrow[key]

    def _broader(self, noun: str) -> tuple[str, ...]:
        return self._own.get(noun) or _listed().get(noun) or tuple(noun.split()[1:][-1:])


def kinds_of(noun: str) -> int:
    """How many nouns of the starter list are kinds of this one; 0 for a noun that is not broader than any."""
    return _kinds()[noun]


@lru_cache(maxsize=10_000)  # images have many captions in common; 5 MB
def _sides(caption: str) -> tuple[str, str] | None:
    sides = [phrase for phrase in definition(caption) or () if not phrase.head]
    return (sides[0].label, sides[1].label) if [phrase.broader for phrase in sides] == [False, True] else None


def _tree(found: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    tree: dict[str, dict[str, None]] = {}
    for noun, broader in found:
        tree.setdefault(noun.lower(), {})[broader.lower()] = None
    return {noun: tuple(broader) for noun, broader in tree.items()}


@cache
def _listed() -> Tree:
    return _tree(pairs())


@cache
def _kinds() -> Counter[str]:
    listed = _listed()
    deepest = len(listed)  # no limit: the walk ends where no noun is new
    return Counter(
        above for noun in listed for above in climbed(noun, lambda one: listed.get(one, ()), deepest) if above != noun
    )


def climbed(noun: str, broader: Callable[[str], Iterable[str]], steps: int) -> dict[str, int]:
    """The noun itself and what is above it in a tree, each with its distance, at most ``steps``."""
    found = {noun: 0}
    front = [noun]
    for distance in range(1, steps + 1):
        front = list(dict.fromkeys(up for one in front for up in broader(one) if up not in found))
        if not front:
            break
        found.update(dict.fromkeys(front, distance))
    return found
