"""The parameters of paged lists, and their cursors.

A cursor names its list, the parameters of the list, and a place in it. So one of another list, or of an older
version, is refused. Lists in an order that changes, as by confidence, are kept (``workers.images.kept_lists``) once a
second page is asked for: it has what the first page had not.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Query

from vectordb.decoders import from_msgpack
from workers.gateway.problems import Problem
from workers.images.kept_lists import INVALID_CURSOR, CursorExpired, KeptLists

T = TypeVar("T")

LONGEST_CURSOR = 12_000  # characters: a first page of 500 objects is named by 9 bytes each
MARK = 8  # bytes by which a cursor names an item of the first page
OTHER_LIST = "the cursor is of another list: pass it to the route that it comes from"
OTHER_PARAMETERS = "the cursor is of a list with other parameters: pass the same ones, or leave the cursor out"

Limit = Annotated[int, Query(ge=1, le=500, description="Maximum number of items.")]
Cursor = Annotated[
    str | None,
    Query(max_length=LONGEST_CURSOR, description="The `cursor` of the previous page, with the same parameters."),
]


class _Seal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    kind: str
    given: bytes
    place: msgspec.Raw


class _Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """``seen``: marks of the items of the first page; or the name of a list that is kept, and a position in it."""

    seen: list[bytes] = []
    name: Annotated[str, msgspec.Meta(pattern=r"(?a)^([0-9a-f]{32})?$")] = ""
    position: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0


def sealed(kind: str, given: Sequence[object], place: object) -> str:
    """The cursor of a place. ``kind``: names the list. ``given``: its parameters. ``place``: for msgpack."""
    packed = msgspec.msgpack.encode(_Seal(kind, _digest(given), msgspec.Raw(msgspec.msgpack.encode(place))))
    return urlsafe_b64encode(packed).decode().rstrip("=")


def opened(cursor: str, kind: str, given: Sequence[object], form: type[T]) -> T:
    """The place of a cursor. ``form``: its type. Raises ``Problem``."""
    try:
        packed = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        seal = from_msgpack(packed, _Seal)
        if urlsafe_b64encode(packed).decode().rstrip("=") != cursor:  # other characters are passed over
            raise Problem("bad-request", INVALID_CURSOR)
        if seal.kind != kind:
            raise Problem("bad-request", OTHER_LIST)
        if seal.given != _digest(given):
            raise Problem("bad-request", OTHER_PARAMETERS)
        return from_msgpack(bytes(seal.place), form)
    except (ValueError, msgspec.DecodeError) as exc:
        raise Problem("bad-request", INVALID_CURSOR) from exc


class Walks:
    """Pages of lists whose order may change between two of them."""

    def __init__(self, lists: KeptLists) -> None:
        self._lists = lists

    def page(
        self,
        kind: str,
        given: Sequence[object],
        limit: int,
        cursor: str | None,
        *,
        first: Callable[[int], Sequence[bytes]],
        rest: Callable[[], Sequence[bytes]],
        read: Callable[[Sequence[bytes]], Sequence[T | None]],
    ) -> tuple[list[T], str | None]:
        """A page and the cursor of the next one. Items that are gone are left out. Raises ``Problem``.

        ``first``: the first items. ``rest``: all, as they are now. ``read``: what is shown of items, ``None`` for one
        that is gone.
        """
        if cursor is None:
            items = list(first(limit + 1))
            rows = [row for row in read(items[:limit]) if row is not None]
            more = _Place(seen=list(map(_mark, items[:limit]))) if len(items) > limit else None
            return rows, None if more is None else sealed(kind, given, more)
        place = opened(cursor, kind, given, _Place)
        if not place.name:
            seen = set(place.seen)
            items = [item for item in rest() if _mark(item) not in seen]
            return self.kept(kind, given, limit, items, read) if items else ([], None)
        return self._read(kind, given, limit, place, self._length(kind, place), read)

    def kept(
        self,
        kind: str,
        given: Sequence[object],
        limit: int,
        items: Sequence[bytes],
        read: Callable[[Sequence[bytes]], Sequence[T | None]],
    ) -> tuple[list[T], str | None]:
        """The first page of these items, which are kept for the others, and the cursor of the next one."""
        if len(items) <= limit:
            return [row for row in read(items) if row is not None], None
        place = _Place(name=self._lists.keep(kind.encode(), items))
        return self._read(kind, given, limit, place, len(items), read)

    def further(
        self,
        kind: str,
        given: Sequence[object],
        limit: int,
        cursor: str,
        read: Callable[[Sequence[bytes]], Sequence[T | None]],
    ) -> tuple[list[T], str | None]:
        """A further page of a list that ``kept`` has begun. Raises ``Problem``."""
        place = opened(cursor, kind, given, _Place)
        return self._read(kind, given, limit, place, self._length(kind, place), read)

    def _length(self, kind: str, place: _Place) -> int:
        """The length of the list of a cursor. Raises ``Problem``."""
        try:
            header, length = self._lists.header(place.name)
        except CursorExpired as exc:
            raise Problem("expired", str(exc)) from exc
        if header != kind.encode() or place.position >= length:
            raise Problem("bad-request", INVALID_CURSOR)
        return length

    def _read(
        self,
        kind: str,
        given: Sequence[object],
        limit: int,
        place: _Place,
        length: int,
        read: Callable[[Sequence[bytes]], Sequence[T | None]],
    ) -> tuple[list[T], str | None]:
        """A full page if there are as many items."""
        rows: list[T] = []
        position = place.position
        while position < length and len(rows) < limit:
            try:
                items = self._lists.rows(place.name, position, limit - len(rows))
            except CursorExpired as exc:
                raise Problem("expired", str(exc)) from exc
            rows += [row for row in read(items) if row is not None]
            position += len(items)
        more = position < length
        return rows, sealed(kind, given, _Place(name=place.name, position=position)) if more else None


def _mark(item: bytes) -> bytes:
    return item if len(item) <= MARK else hashlib.blake2b(item, digest_size=MARK).digest()


def _digest(given: Sequence[object]) -> bytes:
    plain: Any = msgspec.to_builtins(list(given))
    return hashlib.blake2b(msgspec.msgpack.encode(plain), digest_size=6).digest()
