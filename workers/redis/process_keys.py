"""The names of the keys in which processes say how they are.

They are part of the layout in ``workers.redis.keys``, which documents them.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings.encoder_in_use import NEXT


@dataclass(frozen=True)
class ProcessKeys:
    """The names under one prefix."""

    prefix: str

    @property
    def heartbeats(self) -> str:
        return f"{self.prefix}heartbeats"

    @property
    def processes(self) -> str:
        return f"{self.prefix}processes"

    @property
    def models(self) -> str:
        return f"{self.prefix}models"

    @property
    def skipped_captions(self) -> str:
        return f"{self.prefix}skipped-captions"

    @property
    def words_ahead(self) -> str:
        return f"{self.prefix}words"

    @property
    def outages(self) -> str:
        return f"{self.prefix}outages"

    @property
    def drain(self) -> str:
        return f"{self.prefix}drain"

    @property
    def encoder(self) -> str:
        return f"{self.prefix}encoder"

    @property
    def encoder_change(self) -> str:
        return f"{self.prefix}encoder-change"

    @property
    def encoder_feeder(self) -> str:
        return f"{self.prefix}encoder-feeder"

    @property
    def feed_replay(self) -> str:
        return f"{self.prefix}feed:replay"

    @property
    def reserved_numbers(self) -> str:
        return f"{self.prefix}reserved-numbers"

    @property
    def next(self) -> str:
        """The prefix of what another encoder prepares."""
        return f"{self.prefix}{NEXT}"

    @property
    def sources(self) -> str:
        return f"{self.prefix}sources"
