"""The names of the keys of images: what people said of them, their index, and searches.

They are part of the layout in ``workers.redis.keys``, which documents them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageKeys:
    """The names under one prefix."""

    prefix: str

    def statements(self, oid: str) -> str:
        return f"{self.prefix}statements:{oid}"

    @property
    def stated(self) -> str:
        return f"{self.prefix}stated"

    @property
    def statements_revision(self) -> str:
        return f"{self.prefix}statements-revision"

    @property
    def statements_restored(self) -> str:
        return f"{self.prefix}statements-restored"

    @property
    def statements_time(self) -> str:
        return f"{self.prefix}statements-time"

    @property
    def statements_unwritten(self) -> str:
        return f"{self.prefix}statements-unwritten"

    @property
    def statements_taken_back(self) -> str:
        return f"{self.prefix}statements-taken-back"

    @property
    def statements_unfollowed(self) -> str:
        return f"{self.prefix}statements-unfollowed"

    @property
    def statements_journal(self) -> str:
        return f"{self.prefix}statements-journal"

    @property
    def images_position(self) -> str:
        return f"{self.prefix}images:position"

    @property
    def images_standing(self) -> str:
        return f"{self.prefix}images:standing"

    @property
    def images_verify(self) -> str:
        return f"{self.prefix}images:verify"

    @property
    def backlog(self) -> str:
        return f"{self.prefix}backlog"

    @property
    def backlog_objects(self) -> str:
        return f"{self.prefix}backlog:objects"

    def follow(self, job: str) -> str:
        return f"{self.prefix}follow:{job}"

    @property
    def follows(self) -> str:
        return f"{self.prefix}follows"

    def query_image(self, name: str) -> str:
        return f"{self.prefix}query-image:{name}"

    def search(self, name: str) -> str:
        return f"{self.prefix}search:{name}"

    @property
    def searches(self) -> str:
        return f"{self.prefix}searches"
