"""The names of the keys of batches and webhooks.

They are part of the layout in ``workers.redis.keys``, which documents them.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings.webhook_kinds import DEFAULT_RECEIVER


@dataclass(frozen=True)
class NotifyKeys:
    """The names under one prefix."""

    prefix: str

    @property
    def batches(self) -> str:
        return f"{self.prefix}batches"

    @property
    def batches_unfinished(self) -> str:
        return f"{self.prefix}batches:unfinished"

    @property
    def batches_finished(self) -> str:
        return f"{self.prefix}batches:finished"

    def batch(self, batch: str, part: str = "") -> str:
        return f"{self.prefix}batch:{batch}" + (f":{part}" if part else "")

    @property
    def receivers(self) -> str:
        return f"{self.prefix}notify:receivers"

    @property
    def paused_receivers(self) -> str:
        return f"{self.prefix}notify:paused"

    def notify(self, name: str, receiver: str = DEFAULT_RECEIVER) -> str:
        """``waiting``, ``due``, ``dead`` or ``counts`` of a receiver.

        Those of the receiver of the variables have no name, as before there were several receivers.
        """
        return f"{self.prefix}notify:{name}" + ("" if receiver == DEFAULT_RECEIVER else f":{receiver}")
