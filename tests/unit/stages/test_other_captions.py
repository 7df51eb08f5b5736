"""Whether the captions of an image are other ones than when it was tagged."""

from __future__ import annotations

import msgspec
import pytest

from tasks.message_parts import Hit
from tests.unit.lifecycle.statements_samples import record
from workers.lifecycle.record import Evidence
from workers.stages.indexing import _other_captions

THEN = (("cat", 0.9), ("tabby", 0.8), ("pet", 0.7))


@pytest.mark.parametrize(
    ("now", "other"),
    [
        (THEN, False),
        ((("cat", 0.9001), ("tabby", 0.7999), ("pet", 0.7)), False),  # another vector of the same image
        ((("cat", 0.9), ("tabby", 0.8), ("dog", 0.7001)), False),  # two that are as near
        ((("cat", 0.9), ("kitten", 0.85), ("tabby", 0.8)), True),  # one was added
        ((("cat", 0.9), ("pet", 0.7), ("dog", 0.6)), True),  # one was removed
        ((), True),
    ],
)
def test_what_is_clearly_nearer_counts(now: tuple[tuple[str, float], ...], *, other: bool) -> None:
    made = msgspec.structs.replace(record("cat"), evidence=tuple(Evidence(*one) for one in THEN))
    hits = tuple(Hit(number, *one) for number, one in enumerate(now))
    assert _other_captions(made, hits) is other
