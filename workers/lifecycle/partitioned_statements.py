"""What people say of the images of all partitions, as one."""

from __future__ import annotations

from collections.abc import Sequence

from workers.lifecycle.statements import Statement, Statements, Word
from workers.redis.connection import Client
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter


class PartitionedStatements(Statements):
    """See ``Statements``. ``client``: of the journal's state; ``clients``: one for each partition."""

    def __init__(self, partitions: Partitions, client: Client, clients: Sequence[Client]) -> None:
        super().__init__(client, partitions.base)
        self._parts = Scatter(partitions, list(map(Statements, clients, partitions.all)))

    def stored(self, oids: Sequence[str]) -> list[bytes]:
        """See ``Statements``."""
        return self._parts.gather(oids, lambda part, places: part.stored([oids[place] for place in places]))

    def objects(self) -> list[str]:
        """See ``Statements``."""
        return sorted(oid for part in self._parts.each(lambda part: part.objects()) for oid in part)

    def revision(self) -> int:
        """See ``Statements``. Each partition counts its changes, in the transaction that makes them."""
        return super().revision() + sum(self._parts.each(lambda part: part.revision()))

    def change(self, oid: str, label: str, statement: Statement | None) -> list[Statement]:
        """See ``Statements``."""
        return self._parts.at(oid, lambda part: part.change(oid, label, statement))

    def say(
        self, oid: str, label: str, statement: Statement | None, now: float, follow_at: float | None = None
    ) -> tuple[list[Statement], Word]:
        """See ``Statements``."""
        return self._parts.at(oid, lambda part: part.say(oid, label, statement, now, follow_at))

    def restore(self, word: Word, follow_at: float) -> bool:
        """See ``Statements``."""
        return self._parts.at(word.oid, lambda part: part.restore(word, follow_at))

    def unwritten(self) -> list[Word]:
        """See ``Statements``."""
        words = [word for part in self._parts.each(lambda part: part.unwritten()) for word in part]
        return sorted(words, key=lambda word: word.order)

    def written(self, word: Word) -> None:
        """See ``Statements``."""
        self._parts.at(word.oid, lambda part: part.written(word))

    def unfollowed(self) -> list[tuple[str, float]]:
        """See ``Statements``."""
        return [one for part in self._parts.each(lambda part: part.unfollowed()) for one in part]

    def follow_later(self, oid: str, at: float) -> None:
        """See ``Statements``."""
        self._parts.at(oid, lambda part: part.follow_later(oid, at))

    def followed(self, oid: str, at: float) -> None:
        """See ``Statements``."""
        self._parts.at(oid, lambda part: part.followed(oid, at))

    def adopt(self, oid: str, etag: str, new: str) -> None:
        """See ``Statements``."""
        self._parts.at(oid, lambda part: part.adopt(oid, etag, new))
