"""The services that work depends on. Faults, probes and outage notes use these names."""

from __future__ import annotations

REDIS = "redis"
BROKER = "broker"
STORE = "store"
CAPTIONS = "captions"
MODEL = "model"  # those of a worker, which fail for every object; it is no service, and pauses like one

NEEDED = frozenset({REDIS, BROKER, STORE, CAPTIONS, MODEL})
"""The services that every object needs."""

BEGUN_WITH = (STORE, CAPTIONS)
"""The services that the dispatcher needs: it reads no events while one of them is unavailable."""

QUEUES = frozenset({REDIS, BROKER})
"""The services that a worker needs to return a message to its queue."""
