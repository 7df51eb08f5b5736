"""The reasons by which finished objects are counted: codes of errors that wildtag gives, so that metrics stay few."""

from __future__ import annotations

OTHER = "other"
REASONS = frozenset({
    "bad-image", "changed", "damaged", "decoder-crashed", "decoder-fault", "empty", "forbidden", "gave-up", "gone",
    "internal", "no-such-method", "no-vector", "not-an-image", "not-followed", "poisonous", "refused", "too-complex",
    "too-large", "too-many-pixels", "too-much-memory", "too-slow", "truncated", "unreadable", "unsupported",
    "unwanted", "wrong-space",
})  # fmt: skip
GIVEN_UP = ("gave-up", "poisonous")
"""Those of objects that are dead, see ``workers.lifecycle.policy``."""


def counted_reason(code: str | None) -> str:
    """The reason of an error with this code; empty without an error, and ``other`` for an unknown one."""
    if not code:
        return ""
    return code if code in REASONS else OTHER
