"""The services that work may wait for, by the names that faults, probes and notes have, and who waits for which."""

from __future__ import annotations

REDIS = "redis"
BROKER = "broker"
STORE = "store"
CAPTIONS = "captions"

NEEDED = frozenset({REDIS, BROKER, STORE, CAPTIONS})
"""What every object on its way waits for."""

BEGUN_WITH = (STORE, CAPTIONS)
"""What no object is begun without: the dispatcher reads nothing while one is away."""

QUEUES = frozenset({REDIS, BROKER})
"""Without these a message that a worker holds cannot be put back."""
