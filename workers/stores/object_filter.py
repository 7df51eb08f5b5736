"""Decides which objects of a bucket are tagged, by key and by content type if the store knows one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from workers.stores.key_patterns import SIDE, KeyPatterns

NONE = KeyPatterns(())
UNKNOWN_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-octet-stream"})
"""Content types that clients and servers give to everything, and so tell nothing."""


def unknown_type(content_type: str | None) -> bool:
    """Whether this content type tells nothing about the content."""
    return content_type is None or _kind(content_type) in UNKNOWN_TYPES


@dataclass(frozen=True)
class ObjectFilter:
    """Include and exclude rules; exclusion takes precedence. A key must meet all include rules that are given.

    Without rules everything is tagged, except side files. ``patterns``, ``ignored_patterns``: see ``KeyPatterns``.
    ``output``: the prefix of wildtag's own output, always excluded. ``uploads``: the prefix of uploads, to which no
    pattern applies. Content types may end in ``/*``. An object of unknown type is included.
    """

    prefixes: Sequence[str] = ()
    suffixes: Sequence[str] = ()
    ignored_prefixes: Sequence[str] = ()
    ignored_suffixes: Sequence[str] = ()
    content_types: Sequence[str] = ()
    ignored_types: Sequence[str] = ()
    output: str = ".wildtag/"
    uploads: str | None = None
    patterns: KeyPatterns = NONE
    ignored_patterns: KeyPatterns = SIDE

    def key(self, key: str) -> bool:
        """Whether objects of this key are tagged. Suffixes are case-insensitive."""
        return self.ignored_by(key) is None

    def ignored_by(self, key: str) -> str | None:
        """The rule by which objects of this key are not tagged, for people; ``None`` if they are."""
        return next(self._rules(key), None)

    def _rules(self, key: str) -> Iterator[str]:
        """The rules by which objects of this key are not tagged, the most specific first."""
        lowered = key.lower()
        if key.startswith(self.output):
            yield f"WILDTAG_OUTPUT_PREFIX is {self.output}: it is output of wildtag"
        if (begins := _first(key.startswith, self.ignored_prefixes)) is not None:
            yield f"WILDTAG_IGNORE_PREFIXES has {begins}"
        if (ends := _first(lowered.endswith, self.ignored_suffixes, lower=True)) is not None:
            yield f"WILDTAG_IGNORE_SUFFIXES has {ends}"
        upload = self._is_upload(key)
        if (SIDE if upload else self.ignored_patterns).match(key):
            if pattern := SIDE.deciding(key):
                yield f"{pattern} is in the list of side files"
            else:
                yield f"WILDTAG_IGNORE has {self.ignored_patterns.deciding(key)}"
        if upload:
            return
        if self.prefixes and _first(key.startswith, self.prefixes) is None:
            yield "it begins with none of WILDTAG_FOLLOW_PREFIXES"
        if self.suffixes and _first(lowered.endswith, self.suffixes, lower=True) is None:
            yield "it ends with none of WILDTAG_FOLLOW_SUFFIXES"
        if self.patterns and not self.patterns.match(key):
            yield "it matches no pattern of WILDTAG_FOLLOW"

    def _is_upload(self, key: str) -> bool:
        return self.uploads is not None and key.startswith(self.uploads)

    def content(self, content_type: str | None) -> bool:
        """Whether objects of this content type are tagged; of an unknown one, unless it is ignored by name."""
        if content_type is None:
            return True
        kind = _kind(content_type)
        if kind in UNKNOWN_TYPES:
            return not _is_one(kind, [one for one in self.ignored_types if not one.endswith("/*")])
        return not _is_one(kind, self.ignored_types) and (not self.content_types or _is_one(kind, self.content_types))

    def found_content(self, content_type: str | None, found: str) -> bool:
        """Whether objects are tagged whose content type tells nothing, and whose content is of the type ``found``."""
        named = content_type is not None and _is_one(_kind(content_type), self.content_types)
        return named or not unknown_type(content_type) or self.content(found)


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_one(kind: str, types: Sequence[str]) -> bool:
    return any(kind == one.lower() or (one.endswith("/*") and kind.startswith(one[:-1].lower())) for one in types)


def _first(holds: Callable[[str], bool], values: Sequence[str], *, lower: bool = False) -> str | None:
    """The first value for which ``holds`` is true. Not a generator expression: a sweep asks for every key."""
    for value in values:
        if holds(value.lower() if lower else value):
            return value
    return None
