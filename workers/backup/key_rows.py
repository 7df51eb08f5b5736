"""Reads single keys as rows (``workers.backup.form.ROWS``), in bounded memory, and again after a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vectordb.errors import Transient
from workers.backup.contents import BY_PATTERN, Rule, rule_of
from workers.redis.connection import Client, raw, translated
from workers.redis.keys import Keys
from workers.redis.streams import entry_order

T = TypeVar("T")
Row = tuple[Any, ...]

PART = 500  # members of one call
_GROUPED = {"feed", "batches:finished"}  # streams whose groups have a position that nothing else tells


@dataclass(frozen=True)
class Part:
    """The keys of one place. ``number``: of the partition, or ``form.BASE`` for those under the prefix itself."""

    number: int
    client: Client
    keys: Keys


@dataclass
class Seen:
    """What was read so far: counts of it, and of the keys that were left out, with the names of unknown ones."""

    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)


class KeyRows:
    """Reads keys. ``retry`` is called with a fault that may pass; it returns to try again, or raises it."""

    def __init__(self, retry: Callable[[Transient], None]) -> None:
        self._retry = retry
        self.seen = Seen()

    def plain(self, part: Part, names: Iterable[str | bytes]) -> Iterator[Row]:
        """Keys that need agree with no other. What is read again after a fault may occur twice."""
        for name in names:
            bare = raw(name) if isinstance(name, str) else name
            rule = rule_of(bare) or BY_PATTERN[bare.decode()]
            if rule.kind == "string":
                yield from self.strings(part, [bare])
            elif rule.kind == "stream":
                yield from self.stream(part, bare, grouped=rule.pattern in _GROUPED)
            else:
                yield from self.collection(part, bare, rule)

    def collection(self, part: Part, name: bytes, rule: Rule) -> Iterator[Row]:
        """A hash, a set or a sorted set."""
        redis: Any = part.client
        key = raw(part.keys.prefix) + name
        scan = {"hash": redis.hscan, "zset": redis.zscan, "set": redis.sscan}[rule.kind]
        options = {"score_cast_func": bytes} if rule.kind == "zset" else {}
        lifetime = self.tried(lambda: _lifetime(redis, key))
        cursor: int | None = 0
        while cursor is not None:
            try:
                with translated():
                    cursor, found = scan(key, cursor, count=PART, **options)
            except Transient as exc:
                self._retry(exc)
                cursor = 0  # that of a scan is worth nothing on another node
                continue
            cursor = cursor or None
            pairs = found.items() if rule.kind == "hash" else found
            values = list(found) if rule.kind == "set" else [one for pair in pairs for one in pair]
            if values:
                yield (rule.kind, part.number, name, lifetime, values)

    def strings(self, part: Part, names: Sequence[bytes]) -> Iterator[Row]:
        """Strings, several in a call."""
        begin = raw(part.keys.prefix)
        for page in paged(names, PART):

            def read(page: list[bytes] = page) -> list[Any]:
                with translated():
                    pipe: Any = part.client.pipeline(transaction=False)
                    for name in page:
                        pipe.get(begin + name)
                        pipe.pttl(begin + name)
                    return list(pipe.execute())

            answers = self.tried(read)
            for place, name in enumerate(page):
                if answers[2 * place] is not None:
                    lifetime = max(0, int(answers[2 * place + 1]))
                    yield ("string", part.number, name, lifetime, answers[2 * place])

    def together(self, part: Part, names: Sequence[bytes]) -> list[Row]:
        """Keys that must agree with each other."""
        rules = [rule for rule in map(rule_of, names) if rule is not None]

        def read() -> list[Any]:
            with translated():
                pipe: Any = part.client.pipeline(transaction=True)
                for name, rule in zip(names, rules, strict=True):
                    key = raw(part.keys.prefix) + name
                    pipe.pttl(key)
                    _whole(pipe, key, rule)
                return list(pipe.execute())

        answers = self.tried(read)
        rows: list[Row] = []
        for place, (name, rule) in enumerate(zip(names, rules, strict=True)):
            lifetime, value = max(0, int(answers[2 * place])), answers[2 * place + 1]
            if not value:
                continue
            if rule.kind == "string":
                rows.append(("string", part.number, name, lifetime, value))
            elif rule.kind == "list":
                rows += _of_list(part.number, name, lifetime, value)
            else:
                pairs = value.items() if rule.kind == "hash" else value
                rows += [
                    (rule.kind, part.number, name, lifetime, [one for pair in page for one in pair])
                    for page in paged(pairs, PART)
                ]
            self.seen.counts[rule.pattern] += {"batch:ID": 1, "api-keys": len(value)}.get(rule.pattern, 0)
        return rows

    def stream(self, part: Part, name: bytes, *, grouped: bool, end: bytes = b"+") -> Iterator[Row]:
        """The entries of a stream up to ``end``. ``grouped``: and the positions of its groups."""
        redis: Any = part.client
        key = raw(part.keys.prefix) + name
        groups = self.tried(lambda: _positions(redis, key)) if grouped else []  # before the entries
        begin: bytes = b"-"
        while True:

            def read(begin: bytes = begin) -> list[Any]:
                with translated():
                    return list(redis.xrange(key, begin, end, count=PART))

            page = self.tried(read)
            if not page:
                break
            entries = [[entry, [one for pair in fields.items() for one in pair]] for entry, fields in page]
            yield ("stream", part.number, name, 0, entries)
            begin = b"(" + page[-1][0]
        if groups:
            yield ("groups", part.number, name, groups)

    def tried(self, call: Callable[[], T]) -> T:
        """The answer of a call that may be made again."""
        while True:
            try:
                return call()
            except Transient as exc:
                self._retry(exc)


def _whole(pipe: Any, key: bytes, rule: Rule) -> None:
    """Add the command that reads a key to a pipeline."""
    if rule.kind == "string":
        pipe.get(key)
    elif rule.kind == "hash":
        pipe.hgetall(key)
    elif rule.kind == "zset":
        pipe.zrange(key, 0, -1, withscores=True, score_cast_func=bytes)
    else:
        pipe.lrange(key, 0, -1)


def _lifetime(redis: Any, key: bytes) -> int:
    with translated():
        return max(0, int(redis.pttl(key)))


def _positions(redis: Any, key: bytes) -> list[list[Any]]:
    """Of each group its name and the id of the last entry before which it has done everything."""
    found: list[list[Any]] = []
    with translated():
        if not redis.exists(key):
            return found
        for group in redis.xinfo_groups(key):
            position = bytes(group["last-delivered-id"])
            pending = redis.xpending(key, group["name"])
            if pending["pending"]:
                position = min(position, _before(bytes(pending["min"])), key=entry_order)
            found.append([group["name"], position])
    return found


def _before(entry: bytes) -> bytes:
    """The id just before that of an entry."""
    ms, seq = entry_order(entry)
    return b"%d-%d" % ((ms, seq - 1) if seq else (ms - 1, 2**64 - 1))


def _of_list(place: int, name: bytes, lifetime: int, values: Sequence[Any]) -> list[Row]:
    return [("list", place, name, lifetime, list(values[at : at + PART]), at) for at in range(0, len(values), PART)]


def paged(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Values in lists of at most so many."""
    page: list[T] = []
    for value in values:
        page.append(value)
        if len(page) >= size:
            yield page
            page = []
    if page:
        yield page
