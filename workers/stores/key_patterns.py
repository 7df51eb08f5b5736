"""Patterns of keys as in a ``.gitignore`` file, and the well-known files beside images that are never tagged.

A pattern without a slash in its beginning or middle matches at any depth; one that ends in a slash matches folders. A
pattern that begins with ``!`` takes back an earlier one. Matching ignores case and Unicode normalisation, and ``#``
begins no comment.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pathspec import GitIgnoreSpec

SIDE_FILES = (
    # folders of NAS systems, of trash cans, of file systems and of programs that synchronise
    "@eaDir/", "@Recycle/", "@Recently-Snapshot/", "#recycle/", "#snapshot/", ".snapshot/", ".zfs/", "$RECYCLE.BIN/",
    "System Volume Information/", "lost+found/", ".Trash*/", ".Trashes/", ".stfolder*/", ".stversions/", ".sync/",
    ".fseventsd/", ".Spotlight-V100/", ".thumbnails/", "__MACOSX/",
    # what systems and programs write beside images
    "Thumbs.db", "ehthumbs.db", "desktop.ini", ".DS_Store", "._*", ".nomedia", ".picasa.ini", "Picasa.ini",
    "*:Zone.Identifier", "*.xmp", "*.aae", "*.thm",
    # files that are not complete, or open in a program
    "~$*", ".~lock.*", ".syncthing.*.tmp", "*.part", "*.partial", "*.filepart", "*.crdownload", "*.download", "*.tmp",
    "*.!sync", "*.!qB", "*~",
)  # fmt: skip
"""The list, in the order of the documentation."""
_ANY_DEPTH = "^(?:.+/)?"
_GROUP = re.compile(r"\(\?P<\w+>")


class KeyPatterns:
    """Patterns of keys. Raises ``ValueError`` for one that cannot be read."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)
        self._spec = GitIgnoreSpec.from_lines([_literal_hash(_plain(one)) for one in self._patterns])
        included = [one.regex.pattern for one in self._spec.patterns if one.include and one.regex is not None]
        # one expression in place of one for each pattern: a sweep asks for every key
        self._one = re.compile(_alternatives([_GROUP.sub("(?:", one) for one in included]), re.DOTALL)
        self._takes_back = any(one.include is False for one in self._spec.patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def match(self, key: str) -> bool:
        """Whether a key matches. The key of a folder ends with a slash."""
        plain = _plain(key)
        if self._one.match(plain) is None:
            return False
        return not self._takes_back or self._spec.match_file(plain)

    def deciding(self, key: str) -> str | None:
        """The last pattern that a matching key matches; ``None`` if it does not match."""
        found = self._spec.check_file(_plain(key))
        return self._patterns[found.index] if found.include and found.index is not None else None


def _plain(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()


def _alternatives(expressions: Sequence[str]) -> str:
    """One expression for all. Those of any depth are tried together at each slash: a third of the time."""
    deep = [one.removeprefix(_ANY_DEPTH) for one in expressions if one.startswith(_ANY_DEPTH)]
    rest = [one for one in expressions if not one.startswith(_ANY_DEPTH)]
    together = [f"{_ANY_DEPTH}(?:{'|'.join(deep)})"] if deep else []
    return "|".join([*together, *rest]) or "(?!)"


def _literal_hash(pattern: str) -> str:
    return f"\\{pattern}" if pattern.startswith("#") else pattern


SIDE = KeyPatterns(SIDE_FILES)
"""The list, ready to be matched."""
