"""What becomes of notifications between a bucket and the intake."""

from __future__ import annotations

import random
from collections import Counter

from ops.chaos.notifications import LATE_S, LOST, REPEATED, fates

DRAWN = 4000


def test_some_are_lost_some_repeated_and_none_is_later_than_announced() -> None:
    chance = random.Random(1)
    drawn = [fates(chance) for _ in range(DRAWN)]
    kinds = Counter(fate[0][0] for fate in drawn)
    assert kinds.keys() == {"lost", "repeated", "delayed", "reordered", "at once"}
    for kind, share in (("lost", LOST), ("repeated", REPEATED)):
        assert 0.8 * share < kinds[kind] / DRAWN < 1.2 * share
    sent = [pause for fate in drawn for _, pause in fate if pause is not None]
    assert 0 <= min(sent) <= max(sent) <= LATE_S
    assert len(sent) == DRAWN - kinds["lost"] + kinds["repeated"]


def test_a_seed_decides() -> None:
    one, two, other = (random.Random(seed) for seed in (7, 7, 8))
    drawn = [[fates(chance) for _ in range(50)] for chance in (one, two, other)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
