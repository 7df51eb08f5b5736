"""The thresholds derived for one caption version, as they are stored with it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tasks.message_parts import DerivedThresholds
from vectordb.decoders import converted
from vectordb.errors import Permanent

RECIPE = 1  # counts changes of the rules
NAMES = ("unknown", "evidence", "synonym", "head")


class UnreadableThresholds(Permanent):
    """The stored thresholds have a form that this version of wildtag does not know."""


class Threshold(msgspec.Struct, frozen=True):
    """A cosine, or ``None`` with the ``reason`` why it is off. ``numbers``: what it was derived from, by name."""

    value: float | None
    reason: str = ""
    numbers: dict[str, float] = {}


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """The four thresholds of ``tasks.encoders.protocols.Thresholds`` that can be derived.

    ``prompts``: digest of the prompts (``tasks.scoring.digest_of``) with which words were encoded.
    """

    space_id: str
    recipe: int = RECIPE
    prompts: str = ""
    unknown: Threshold
    evidence: Threshold
    synonym: Threshold
    head: Threshold

    @classmethod
    def off(cls, space_id: str, reason: str) -> Derived:
        """All four off for one reason."""
        none = Threshold(None, reason)
        return cls(space_id=space_id, unknown=none, evidence=none, synonym=none, head=none)

    @property
    def thresholds(self) -> DerivedThresholds:
        """As they travel with messages."""
        return DerivedThresholds(
            unknown=self.unknown.value, evidence=self.evidence.value, synonym=self.synonym.value,
            head=self.head.value, prompts=self.prompts,
        )  # fmt: skip

    def stored(self) -> dict[str, object]:
        """As JSON values."""
        values: dict[str, object] = msgspec.to_builtins(self)
        return values


def read(stored: Mapping[str, object] | None) -> Derived | None:
    """The thresholds stored with a version; ``None`` if it has none. Raises ``UnreadableThresholds``."""
    if stored is None:
        return None
    try:
        return converted(dict(stored), Derived)
    except msgspec.ValidationError as exc:
        raise UnreadableThresholds(
            f"the thresholds stored with the captions cannot be read ({exc}); derive them again with wildtag captions"
            " thresholds"
        ) from exc
