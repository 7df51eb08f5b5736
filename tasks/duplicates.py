"""Duplicates: groups of copies of one picture.

Copies are resized, compressed, brightened, slightly cropped, turned or mirrored (``tasks.copies``). Two pictures of
one thing are none.

A group is a star: each picture in it is a copy of its largest one, never merely a copy of a copy. So a series of
pictures, each a little different from the one before, does not end up in one group. Pictures are taken from the
largest to the smallest. One that no larger one has taken takes all its copies that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from tasks.copies import CopyOf, copies, usual_cosine
from tasks.hash_search import Indices
from tasks.images.perceptual_hash import TRANSFORMS, WORDS, Words
from tasks.message_parts import Floats


class Copy(msgspec.Struct, frozen=True):
    """A picture of a group, compared with the group's first one, for which the defaults hold.

    ``transform``: what was done to the first one, of ``TRANSFORMS``. ``distance``: bits of 256 in which the hashes
    differ. ``cosine``: of the vectors, ``None`` if one is not known. ``exact``: the bytes are the same, and nothing
    else was compared.
    """

    id: str
    pixels: int
    bytes: int
    transform: str = TRANSFORMS[0]
    distance: int = 0
    cosine: float | None = 1.0
    exact: bool = True


class Group(msgspec.Struct, frozen=True):
    """Copies of one picture, the largest first: by pixels, then by bytes. ``wasted``: bytes of all but the first."""

    copies: tuple[Copy, ...]
    wasted: int


def duplicates(
    ids: Sequence[str],
    hashes: Words,
    pixels: Sequence[int] | Indices,
    sizes: Sequence[int] | Indices,
    vectors: Callable[[Sequence[str]], Floats],
    *,
    digests: Sequence[str | None] | None = None,
    least_cosine: float | None = None,
) -> list[Group]:
    """The groups of two and more copies, those with the most wasted bytes first.

    ``ids``: n different ones. ``hashes``: (n, 4) uint64, as ``words_of`` returns them: zeros for none. ``pixels``:
    areas. ``sizes``: bytes. ``vectors``: returns the unit vectors (k, d) of k ids, a row of NaN for one that is not
    known; called for a few thousand ids at a time, candidates and a sample. ``digests``: of the bytes, where they are
    known: pictures of one digest and size are exact copies, with a hash or without. ``least_cosine``: of copies whose
    details differ; by default ``usual_cosine``. The order of the pictures does not matter. Raises ``ValueError`` for
    arguments of different lengths, repeated ids and vectors of a wrong shape.
    """
    digests = [None] * len(ids) if digests is None else digests
    if not len(ids) == len(pixels) == len(sizes) == len(digests) or hashes.shape != (len(ids), WORDS):
        raise ValueError("ids, hashes, pixels, sizes and digests must have one entry for each picture")
    if len(set(ids)) < len(ids):
        raise ValueError("an id is repeated: give each picture once")
    # from here on a picture is its place in this order
    order = sorted(range(len(ids)), key=lambda at: (-int(pixels[at]), -int(sizes[at]), ids[at]))
    pictures = [Copy(ids[at], int(pixels[at]), int(sizes[at])) for at in order]
    members = _exact(pictures, [digests[at] for at in order])
    words = np.asarray(hashes, np.uint64)[order]
    hashed = set(np.flatnonzero(words.any(axis=1)).tolist())
    compared = np.array([at for at in members if at in hashed], np.int64)
    words = words[compared]

    def vectors_of(some: Indices) -> Floats:
        got = vectors([pictures[at].id for at in compared[some].tolist()])
        if got.ndim != 2 or len(got) != len(some):
            raise ValueError(f"{len(some)} vectors were asked for, and the answer has the shape {got.shape}")
        return got

    least = usual_cosine(words, vectors_of) if least_cosine is None else least_cosine
    for one in copies(words, vectors_of, least):
        larger, smaller = int(compared[one.larger]), int(compared[one.smaller])
        members[larger] += [(at, _compared(picture, one)) for at, picture in members.pop(smaller)]
    groups = []
    for found in members.values():
        if len(found) > 1:
            in_order = tuple(picture for _, picture in sorted(found, key=lambda member: member[0]))
            groups.append(Group(in_order, sum(picture.bytes for picture in in_order[1:])))
    return sorted(groups, key=lambda group: (-group.wasted, group.copies[0].id))


def _exact(pictures: Sequence[Copy], digests: Sequence[str | None]) -> dict[int, list[tuple[int, Copy]]]:
    """Exact copies, each with its place, by the place of the first one."""
    first_of: dict[tuple[str, int], int] = {}
    exact: dict[int, list[tuple[int, Copy]]] = {}
    for at, (picture, digest) in enumerate(zip(pictures, digests, strict=True)):
        first = at if digest is None else first_of.setdefault((digest, picture.bytes), at)
        exact.setdefault(first, []).append((at, picture))
    return exact


def _compared(picture: Copy, one: CopyOf) -> Copy:
    return msgspec.structs.replace(
        picture, transform=one.transform, distance=one.distance, cosine=one.cosine, exact=False
    )
