"""Queues that keep what is sent, for a test to work on."""

from __future__ import annotations

from tasks.messages import Batch
from workers.broker.publisher import Publisher


class Queues(Publisher):
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Batch, int]] = []
        self.probed: list[str] = []

    def send(self, stage: str, batch: Batch, *, pause: float = 0.0, retries: int = 0) -> None:  # noqa: ARG002 -- not waited
        self.sent.append((stage, batch, retries))

    def probe(self, stage: str, lifetime: float) -> None:  # noqa: ARG002 -- not waited
        self.probed.append(stage)

    def queued(self, stage: str) -> int:  # noqa: ARG002 -- every message is taken at once
        return 0
