"""What a check of this machine or of a service found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Check:
    """What was checked, what was found, and how to fix it (empty if nothing has to be fixed).

    ``numbers``: of a threshold, its value and what it was derived from.
    """

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def passed(cls, name: str, detail: str) -> Check:
        """A check that has passed."""
        return cls(name, ok=True, detail=detail)

    @classmethod
    def failed(cls, name: str, detail: str, remedy: str) -> Check:
        """A check that has failed."""
        return cls(name, ok=False, detail=detail, remedy=remedy)

    @classmethod
    def note(cls, name: str, detail: str, remedy: str = "") -> Check:
        """Something worth knowing that is not a failure."""
        return cls(name, ok=None, detail=detail, remedy=remedy)
