"""Decides which objects of a bucket are tagged, by key and by content type if the store knows one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workers.stores.key_patterns import SIDE, KeyPatterns

NONE = KeyPatterns(())


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
        lowered = key.lower()
        if key.startswith((self.output, *self.ignored_prefixes)) or _ends(lowered, self.ignored_suffixes):
            return False
        if self._is_upload(key):
            return not SIDE.match(key)
        if self.ignored_patterns.match(key):
            return False
        return (not self.prefixes or key.startswith(tuple(self.prefixes))) and (
            (not self.suffixes or _ends(lowered, self.suffixes)) and (not self.patterns or self.patterns.match(key))
        )

    def ignored_by(self, key: str) -> str | None:
        """The rule by which objects of this key are not tagged, for people; ``None`` if they are."""
        return None if self.key(key) else next(self._rules(key))

    def _rules(self, key: str) -> Iterator[str]:
        """The rules by which a key that is not followed is ignored."""
        lowered = key.lower()
        if key.startswith(self.output):
            yield f"WILDTAG_OUTPUT_PREFIX is {self.output}: it is output of wildtag"
        yield from (f"WILDTAG_IGNORE_PREFIXES has {one}" for one in self.ignored_prefixes if key.startswith(one))
        yield from (f"WILDTAG_IGNORE_SUFFIXES has {one}" for one in self.ignored_suffixes if _ends(lowered, [one]))
        if (self._is_upload(key) or self.ignored_patterns.match(key)) and (pattern := SIDE.deciding(key)):
            yield f"{pattern} is in the list of side files"
        elif pattern := self.ignored_patterns.deciding(key):
            yield f"WILDTAG_IGNORE has {pattern}"
        if self.prefixes and not key.startswith(tuple(self.prefixes)):
            yield "it begins with none of WILDTAG_FOLLOW_PREFIXES"
        if self.suffixes and not _ends(lowered, self.suffixes):
            yield "it ends with none of WILDTAG_FOLLOW_SUFFIXES"
        yield "it matches no pattern of WILDTAG_FOLLOW"

    def _is_upload(self, key: str) -> bool:
        return self.uploads is not None and key.startswith(self.uploads)

    def content(self, content_type: str | None) -> bool:
        """Whether objects of this content type are tagged."""
        if content_type is None:
            return True
        kind = content_type.partition(";")[0].strip().lower()
        return not _is_one(kind, self.ignored_types) and (not self.content_types or _is_one(kind, self.content_types))


def _is_one(kind: str, types: Sequence[str]) -> bool:
    return any(kind == one.lower() or (one.endswith("/*") and kind.startswith(one[:-1].lower())) for one in types)


def _ends(lowered: str, suffixes: Sequence[str]) -> bool:
    return lowered.endswith(tuple(suffix.lower() for suffix in suffixes))
