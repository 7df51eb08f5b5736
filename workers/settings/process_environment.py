"""Which process needs which secret. Each process gets only those in its environment.

The embedded stack builds the environments from this table, and a test compares the services of Docker Compose with
it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from workers.settings.secret_settings import (
    ADMINISTRATION,
    CAPTIONS,
    ENTRANCE,
    FLOWER,
    MODELS,
    RECEIVER,
    REDIS,
    REDIS_TARGET,
    SECRETS,
    STORE,
    Secrets,
)
from workers.settings.settings import Settings
from workers.settings.variables import variable
from workers.supervision.ambient import ambient

TRACES = "OTEL_"
"""The beginning of the variables of OpenTelemetry, of which one may hold the token of the collector."""

NEEDS: Mapping[str, tuple[Secrets, ...]] = {
    "prepare": (CAPTIONS, MODELS),
    "setup-bucket": (STORE,),
    "setup-user": (STORE, ADMINISTRATION),
    "gateway": (REDIS, STORE, CAPTIONS, ENTRANCE),
    "dispatcher": (REDIS, STORE, CAPTIONS),
    "watcher": (REDIS, CAPTIONS),
    "reconcile": (REDIS, STORE, CAPTIONS),
    "writer": (REDIS, STORE),
    "notifier": (REDIS, RECEIVER),
    "worker-embedding": (REDIS, STORE, MODELS),
    "worker-retrieval": (REDIS, STORE, CAPTIONS, MODELS),  # asks whether an image is there that was taught
    "worker-extraction": (REDIS,),
    "worker-scoring": (REDIS, MODELS),
    "worker-segmentation": (REDIS, STORE, CAPTIONS, MODELS),
    "worker-ingestion": (REDIS, MODELS),
    "next-worker": (REDIS, STORE, CAPTIONS, MODELS),
    "next-dispatcher": (REDIS, STORE, CAPTIONS),
    "next-feeder": (REDIS, CAPTIONS, MODELS),
    "flower": (REDIS, FLOWER),
    "redis-target": (REDIS, REDIS_TARGET),
}
"""Process to what it needs. Everything that is no secret reaches every process."""


def needed(process: str) -> frozenset[str]:
    """The secret settings that a process needs."""
    return frozenset().union(*(group.settings for group in NEEDS[process]))


def environment_of(process: str, settings: Settings, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The whole environment of a process with these settings.

    ``environment``: of this process; what every process may have and what this one needs is taken from it.
    """
    hidden = {variable(name) for name in SECRETS - needed(process)}
    if settings.s3_endpoint is None:
        hidden |= {variable(name) for name in STORE.settings}
    own = {name: value for name, value in settings.environment().items() if name not in hidden}
    groups = [group for group in NEEDS[process] if group is not STORE or settings.s3_endpoint is not None]
    others = {name: environment[name] for group in groups for name in group.variables if name in environment}
    if settings.tracing:
        others |= {name: value for name, value in environment.items() if name.startswith(TRACES)}
    return {**ambient(environment), **others, **own, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
