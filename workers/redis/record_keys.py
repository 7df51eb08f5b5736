"""The names of the keys of records, and of the lists in which they are.

They are part of the layout in ``workers.redis.keys``, which documents them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordKeys:
    """The names under one prefix."""

    prefix: str

    @property
    def objects(self) -> str:
        return f"{self.prefix}objects"

    @property
    def records(self) -> str:
        return f"{self.prefix}records"

    @property
    def tags(self) -> str:
        return f"{self.prefix}tags"

    def record(self, oid: str) -> str:
        return f"{self.prefix}record:{oid}"

    @property
    def last_number(self) -> str:
        return f"{self.prefix}object-number"

    @property
    def numbered_begin(self) -> str:
        return f"{self.prefix}numbered:"

    def numbered(self, page: int) -> str:
        return f"{self.numbered_begin}{page}"

    def tag(self, form: str) -> str:
        return f"{self.prefix}tag:{form}"

    def tag_spellings(self, form: str) -> str:
        return f"{self.prefix}tag-spellings:{form}"
