"""What happens in a run, and when: made from the seed alone, so that a run can be repeated.

Times are seconds since the beginning of the run. What an action meets depends on the machine; what it is does not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_S, MOST_S = 0.5, 8.0  # duration of most faults
LONG_S = 45.0  # and of every fifth at most: longer than time-outs and the time between two sweeps of a run
BAD = 0.05  # share of files that are no good images
SHARES = {
    "put": 0.495, "overwrite": 0.1, "upload": 0.13, "move": 0.06, "remove": 0.06, "retag": 0.06, "say": 0.07,
    "switch": 0.02, "teach": 0.005,  # which has a fifth of the images tagged again
}  # fmt: skip
BY_API = frozenset({"upload", "retag", "say", "switch", "teach"})
"""What people do over the HTTP API or by commands; the rest is done to the bucket itself."""

SEGMENTED = 0.25  # share of uploads that are to be segmented, too
FOLDERS = ("", "album/", "album/2027 summer/", "später/", "a&b=c+d/")


@dataclass(frozen=True)
class Act:
    """Something that a user does. ``picture``: which of the pictures; negative: one of the bad files."""

    at: float
    what: str
    key: str
    picture: int
    chance: float
    """In [0, 1): chooses the object to change, or to say something of, among those that are there."""
    variant: float
    """In [0, 1): chooses what is said or taught, whether an upload is segmented, to which captions is switched."""


@dataclass(frozen=True)
class Strike:
    """A fault: its name, and how long it lasts in seconds. ``chance`` chooses its victim."""

    at: float
    fault: str
    lasts: float
    chance: float


@dataclass(frozen=True)
class Plan:
    """A run. ``seconds``: until the last act and the end of the last fault."""

    seed: int
    seconds: float
    acts: Sequence[Act]
    strikes: Sequence[Strike]


def made(
    seed: int, objects: int, seconds: float, faults: Sequence[str], strikes: int, pictures: int, bad: int
) -> Plan:
    """A plan of ``objects`` acts and ``strikes`` faults, each of ``faults`` as often as the others.

    ``pictures``, ``bad``: how many good and bad files there are to choose from.
    """
    chance = random.Random(seed)
    acts = []
    for number, at in enumerate(sorted(chance.uniform(0, seconds) for _ in range(objects))):
        what = chance.choices(list(SHARES), list(SHARES.values()))[0]
        picture = -1 - chance.randrange(bad) if chance.random() < BAD else chance.randrange(pictures)
        key = f"{chance.choice(FOLDERS)}{number:05}.jpg"
        acts.append(Act(at, what, key, picture, chance.random(), chance.random()))
    order = chance.sample(list(faults), len(faults))  # else few strikes would be those that are named first
    named = [order[n % len(order)] for n in range(strikes)] if order else []
    chance.shuffle(named)
    width = seconds / max(1, len(named))
    found = []
    for n, fault in enumerate(named):
        most = LONG_S if chance.random() < 0.2 else MOST_S
        lasts = min(chance.uniform(LEAST_S, most), width / 2)
        found.append(Strike((n + chance.uniform(0, 0.5)) * width, fault, lasts, chance.random()))
    return Plan(seed, seconds, acts, found)
