"""The image index: the vectors of tagged images, searchable by vector and by words. One Protocol, several adapters.

Adapters: ``vectordb.image_edge`` (Qdrant Edge, in this process) and ``vectordb.image_server`` (a Qdrant server). The
index is derived: records are the truth, and it can be lost and made again. A hit counts only if the record of its
object has the same ETag, which the caller checks. All vectors are float32 of unit length; similarity is their cosine.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vectordb.index import Floats

PAGE = 1024  # images per page when all are read
NO_FLOOR = -2.0  # below every cosine: any caption would be kept


def image_id(bucket: str, key: str) -> int:
    """An unsigned 64-bit id of an object, the same for all its versions. Keys that are not UTF-8 are allowed."""
    name = f"{bucket}/{key}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")


def word_id(word: str) -> int:
    """An unsigned 32-bit id of a word, its dimension in the sparse vector of words."""
    return zlib.crc32(word.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class ImageEntry:
    """One version of one image.

    ``floor``: a caption is among the kept ones of this image if its similarity minus its hubness is above it.
    ``bound``: and if its similarity is above that. Both are ``NO_FLOOR`` if fewer captions than wanted were found.
    ``hash``: perceptual hash, 32 bytes; ``None`` for images that show too little. ``taken_at``: RFC 3339.
    ``tags``: the forms by which the image is found, see ``ImageIndex.label``. ``extra``: any JSON values.
    """

    bucket: str
    key: str
    etag: str
    captions_version: str = ""
    floor: float = NO_FLOOR
    bound: float = NO_FLOOR
    hash: bytes | None = None
    taken_at: str | None = None
    tags: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> int:
        return image_id(self.bucket, self.key)

    @property
    def object_id(self) -> str:
        """``bucket/key``, as of messages and records."""
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True)
class ImageLabels:
    """What an image is found by: ``tags`` for filters, ``words`` with weights above 0 for search by words."""

    bucket: str
    key: str
    etag: str
    tags: tuple[str, ...]
    words: Mapping[str, float]


@dataclass(frozen=True)
class ImageFact:
    """What the verification compares of an image: its version, and what it is found by. ``words``: their number."""

    bucket: str
    key: str
    etag: str
    tags: tuple[str, ...]
    words: int

    @property
    def id(self) -> int:
        return image_id(self.bucket, self.key)


@dataclass(frozen=True)
class ImageFilter:
    """Conditions that all must hold. ``tags``: every one of them; ``not_tags``: none of them.

    ``prefix``: of the key. ``after``, ``before``: when the image was taken, RFC 3339, inclusive; images without that
    time are left out if one of them is given.
    """

    bucket: str | None = None
    prefix: str = ""
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    after: str | None = None
    before: str | None = None
    captions_version: str | None = None


EVERYTHING = ImageFilter()


@dataclass(frozen=True)
class ImageHits:
    """The images that one query found, best first, with their (k,) scores: cosines, or sums of matching weights."""

    entries: tuple[ImageEntry, ...]
    scores: tuple[float, ...]


class ImageSearch(Protocol):
    """Images searchable by vector and by words."""

    @property
    def dimension(self) -> int: ...

    def search(self, vectors: Floats, limit: int, where: ImageFilter = EVERYTHING) -> list[ImageHits]:
        """The ``limit`` nearest images of each row of ``vectors`` (n, dimension), as one batch.

        Best first; equal similarities are ordered by id. Raises ``WrongDimension`` or ``UnusableVectors``.
        """
        ...

    def search_words(self, words: Mapping[str, float], limit: int, where: ImageFilter = EVERYTHING) -> ImageHits:
        """The images with the largest sum of products of weights over the words they share with the query."""
        ...

    def get(self, ids: Sequence[int]) -> tuple[list[ImageEntry], Floats]:
        """The images with these ids and their vectors (n, dimension), ordered by id; unknown ids are skipped."""
        ...

    def pages(self, after: int = -1, where: ImageFilter = EVERYTHING) -> Iterator[tuple[list[ImageEntry], Floats]]:
        """All images with their vectors, in the order of ids, ``PAGE`` at a time; only ids above ``after``."""
        ...

    def entries(self, after: int = -1) -> Iterator[list[ImageEntry]]:
        """As ``pages`` without vectors, which are most of what is read."""
        ...

    def facts(self, ids: Sequence[int]) -> list[ImageFact]:
        """What is known of these images without their vectors, ordered by id; unknown ids are skipped."""
        ...

    def facts_after(self, after: int, limit: int) -> list[ImageFact]:
        """The same of the first ``limit`` images whose id is above ``after``, in the order of ids.

        Raises ``IndexMissing`` if the index was removed while it was open.
        """
        ...

    def count(self, where: ImageFilter = EVERYTHING) -> int:
        """The number of images."""
        ...

    def ids_after(self, after: int, limit: int) -> list[int]:
        """The first ``limit`` ids above ``after``, in their order."""
        ...

    def concerned(
        self, vector: Floats, hubness: float, captions_version: str, part: Sequence[int] | None = None
    ) -> list[ImageEntry]:
        """The images tagged with these captions for which a caption with this vector (dimension,) is a kept one.

        Those to which its similarity is above their ``bound``, and its similarity minus its ``hubness`` above their
        ``floor``, both within rounding: for a caption that is in the version, and for one that is not yet.
        ``part``: only of these ids; all images take a while, see ``ids_after``.
        """
        ...


class ImageIndex(ImageSearch, Protocol):
    """Images that can be searched and changed. Changes are searchable at once and survive a kill of the process."""

    def put(self, entries: Sequence[ImageEntry], vectors: Floats) -> None:
        """Insert images, or replace them by id, with all that belonged to the previous version.

        An entry of the version (ETag) that is in the index keeps its words and, if it has none itself, its tags.
        ``vectors`` (n, dimension) of any length above zero are stored with unit length. Raises ``WrongDimension`` or
        ``UnusableVectors``, and then changes nothing.
        """
        ...

    def label(self, labels: Sequence[ImageLabels]) -> None:
        """Set what images are found by. Images that are not in the index in this version stay as they are."""
        ...

    def remove(self, ids: Sequence[int]) -> None:
        """Remove images; ignores unknown ids."""
        ...

    def maintain(self) -> None:
        """Keep searches fast; call it after changes. Returns soon, and does nothing where a server does it by itself.

        A failure is logged and tried again later: searches are slower meanwhile, but find the same.
        """
        ...

    def close(self) -> None:
        """Flush and release the index. May be called twice."""
        ...


def last_by_id(entries: Sequence[ImageEntry]) -> dict[int, int]:
    """The place of the last entry of each id."""
    return {entry.id: place for place, entry in enumerate(entries)}
