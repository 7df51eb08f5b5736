"""Finds objects whose key was written with another Unicode normalisation, and names keys that are nearly the same.

An upload has a key of its own, so that people look for it by the name of its file, which its record has.

macOS writes ``é`` as two characters (NFD), other systems as one (NFC). Both look the same, and both are valid keys of
different objects: a look-up takes the exact key first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Literal

from workers.lifecycle.record_reader import Records
from workers.stores.store import ObjectError, ObjectStore

FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
MOST = 10_000  # keys compared with one that was not found
SHOWN = 3


class Spellings:
    """Looks for keys. Raises ``StoreUnavailable``, and ``StoreAway`` if it is given a store."""

    def __init__(self, records: Records, store: ObjectStore | None = None, *, names: bool = True) -> None:
        """``store``: also finds objects without a record. ``names``: also finds names of files, from records."""
        self._names = names
        self._records = records
        self._store = store

    def find(self, bucket: str, key: str) -> str:
        """The key of the object that is meant: this key, or the only one that differs by its normalisation alone.

        Returns this key if there is none.
        """
        if key.isascii() or self._exists(bucket, [key]):
            return key
        others = self._exists(bucket, _forms(key)) or _equal(self._around(bucket, key, cased=True), key)
        return others[0] if len(others) == 1 else key

    def near(self, bucket: str, key: str) -> dict[str, str | None]:
        """Keys of objects that are probably meant, a few at most, with the name of the uploaded file, if any.

        Those whose file has exactly this name; else keys that differ from this one only by case or normalisation;
        else by folders before it or before them; else those whose file has nearly this name.
        """
        exact, similar = self._uploaded(bucket, key) if self._names else ({}, {})
        if exact:
            return exact
        found = self._near_keys(bucket, key)
        return dict.fromkeys(found) if found else similar

    def _near_keys(self, bucket: str, key: str) -> list[str]:
        folded = _folded(key)
        around = self._around(bucket, key)
        found = [other for other in around if other != key and _folded(other) == folded]
        if not found:
            found = [other for other in self._some(bucket, "") if _same_end(_folded(other), folded)]
        return found[:SHOWN]

    def hint(self, bucket: str, key: str) -> str:
        """``near`` as the end of a message; empty if there is no such key."""
        near = self.near(bucket, key)
        shown = []
        for other, name in near.items():
            # what differs by normalisation alone looks the same
            said = ascii(other) if _equal([other], key) else repr(other)
            shown.append(said if name is None else f"{said}, uploaded as {name}")
        return f"; did you mean {' or '.join(shown)}?" if near else ""

    def _uploaded(self, bucket: str, key: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
        """Keys of objects whose file had this name, and of those whose had nearly this name, newest first."""
        wanted = key.rpartition("/")[2]
        exact: dict[str, str | None] = {}
        similar: dict[str, str | None] = {}
        for one in self._records.latest(MOST):
            if one.bucket != bucket or not one.file_name or one.key == key:
                continue
            if one.file_name == wanted:
                exact[one.key] = one.file_name
            elif _folded(one.file_name) == _folded(wanted):
                similar[one.key] = one.file_name
            if len(exact) >= SHOWN:
                break
        return dict(islice(exact.items(), SHOWN)), dict(islice(similar.items(), SHOWN))

    def _exists(self, bucket: str, keys: Sequence[str]) -> list[str]:
        known = self._records.known([f"{bucket}/{key}" for key in keys])
        return [key for key, etags in zip(keys, known, strict=True) if any(etags) or self._stored(bucket, key)]

    def _stored(self, bucket: str, key: str) -> bool:
        with suppress(ObjectError):
            return self._store is not None and self._store.stat(bucket, key) is not None
        return False

    def _around(self, bucket: str, key: str, *, cased: bool = False) -> list[str]:
        """Keys with records that begin as this one does, up to the first letter that may be written otherwise.

        ``cased``: the case of letters is right.
        """
        unsure = (at for at, letter in enumerate(key) if not letter.isascii() or (letter.isalpha() and not cased))
        end = next(unsure, len(key))
        # a letter may be followed by an accent of its own
        return self._some(bucket, key[: max(0, end - 1)] if end < len(key) else key[:end])

    def _some(self, bucket: str, prefix: str) -> list[str]:
        return list(islice(self._records.keys(bucket, prefix), MOST))


def _forms(key: str) -> list[str]:
    return [form for form in dict.fromkeys(unicodedata.normalize(one, key) for one in FORMS) if form != key]


def _equal(keys: Sequence[str], key: str) -> list[str]:
    plain = unicodedata.normalize("NFC", key)
    return [other for other in keys if unicodedata.normalize("NFC", other) == plain]


def _same_end(one: str, other: str) -> bool:
    """Whether one of two different keys is the other one in a folder."""
    return one.endswith(f"/{other}") or other.endswith(f"/{one}")


def _folded(key: str) -> str:
    return unicodedata.normalize("NFC", key).casefold()
