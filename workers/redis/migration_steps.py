"""The steps of migrations: each renames or deletes keys or fields, and does nothing where it has run before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vectordb.errors import Permanent
from workers.redis import scripts
from workers.redis.connection import text
from workers.redis.layout import escaped

BATCH = 500  # keys renamed by one call of a script


class Step(Protocol):
    """One change. Both methods raise redis-py's errors."""

    @property
    def name(self) -> str:
        """A short description of the change."""
        ...

    def left(self, client: Any, prefix: str) -> int:
        """The number of keys or fields that it would change now."""
        ...

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """Make the change in batches; yields the number of changed keys or fields per batch. Raises ``Permanent``."""
        ...


@dataclass(frozen=True)
class Rename:
    """Rename a key. ``replace``: a key of the new name is overwritten; otherwise the step is refused."""

    old: str
    new: str
    replace: bool = False

    @property
    def name(self) -> str:
        return f"{self.old} -> {self.new}"

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        return int(client.exists(f"{prefix}{self.old}"))

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        yield _renamed(client, [f"{prefix}{self.old}".encode(), f"{prefix}{self.new}".encode()], replace=self.replace)


@dataclass(frozen=True)
class RenameFamily:
    """Rename all keys that begin with ``old``."""

    old: str
    new: str

    @property
    def name(self) -> str:
        return f"{self.old}* -> {self.new}*"

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        return len({key for page in pages(client, prefix + self.old) for key in page})

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        old, new = f"{prefix}{self.old}".encode(), f"{prefix}{self.new}".encode()
        for page in pages(client, prefix + self.old):
            yield _renamed(client, [name for key in page for name in (key, new + key.removeprefix(old))])


@dataclass(frozen=True)
class RenameInFamily:
    """Rename fields of all hashes whose keys begin with ``family``."""

    family: str
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.family}*: " + ", ".join(f"{old} -> {new}" for old, new in self.fields.items())

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        found: set[bytes] = set()
        for page in pages(client, prefix + self.family):
            pipe = client.pipeline(transaction=False)
            for key in page:
                pipe.hmget(key, list(self.fields))
            held = pipe.execute()
            found.update(k for k, values in zip(page, held, strict=True) if any(v is not None for v in values))
        return len(found)

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        script = client.register_script(scripts.source("rename_hash_fields"))
        names = [name for pair in self.fields.items() for name in pair]
        for page in pages(client, prefix + self.family):
            yield int(script(args=[len(self.fields), *names, *page])) if page else 0


@dataclass(frozen=True)
class RenameFields:
    """Rename fields of a hash of counters. ``endings``: of fields ``NAME:ENDING``, the same for their last part."""

    key: str
    fields: Mapping[str, str] = field(default_factory=dict)
    endings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        changes = [*self.fields.items(), *((f"*:{old}", f"*:{new}") for old, new in self.endings.items())]
        return f"{self.key}: " + ", ".join(f"{old} -> {new}" for old, new in changes)

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        return len(self._names(client, prefix)) // 2

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        if names := self._names(client, prefix):
            script = client.register_script(scripts.source("rename_fields"))
            yield int(script(args=[f"{prefix}{self.key}", *names]))

    def _names(self, client: Any, prefix: str) -> list[str]:
        """Old and new names in alternation."""
        found = []
        for name in map(text, client.hkeys(f"{prefix}{self.key}")):
            first, colon, last = name.partition(":")
            new = f"{first}:{self.endings[last]}" if colon and last in self.endings else self.fields.get(name)
            found += [name, new] if new is not None else []
        return found


@dataclass(frozen=True)
class Delete:
    """Delete a key that only describes running processes; none runs during a migration."""

    old: str

    @property
    def name(self) -> str:
        return f"delete {self.old}"

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        return int(client.exists(f"{prefix}{self.old}"))

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        yield int(client.delete(f"{prefix}{self.old}"))


def pages(client: Any, begin: str) -> Iterator[list[bytes]]:
    """The keys with this prefix; some may occur twice."""
    cursor = 0
    while True:
        cursor, page = client.scan(cursor, match=f"{escaped(begin)}*", count=BATCH)
        yield page
        if not cursor:
            return


def _renamed(client: Any, names: Sequence[bytes], *, replace: bool = False) -> int:
    """``names``: old and new in alternation."""
    if not names:
        return 0
    renamed, taken = client.register_script(scripts.source("rename"))(args=[int(replace), *names])
    if taken:
        raise Permanent(
            f"{text(taken[0])!r} is there already, and so is the key that is to get this name: remove one"
        )
    return int(renamed)
