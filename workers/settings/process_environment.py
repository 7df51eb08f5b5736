"""Which process needs which secret. Each process gets only those in its environment.

The embedded stack builds the environments from this table, and a test compares the services of Docker Compose with
it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from workers.settings.settings import Settings
from workers.settings.variables import variable
from workers.supervision.ambient import ambient


@dataclass(frozen=True)
class Secrets:
    """``settings``: names of settings. ``variables``: those of other programs, which libraries read."""

    settings: frozenset[str]
    variables: frozenset[str] = frozenset()


REDIS = Secrets(frozenset({"redis_url", "broker_url"}))  # the URL contains the password
STORE = Secrets(
    frozenset({"s3_access_key", "s3_secret_key"}),
    frozenset({
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY", "AWS_SECRET_KEY",
        "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
        "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_REGION", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY",
    }),
)  # fmt: skip
PROXIES = frozenset({
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
})  # fmt: skip
CAPTIONS = Secrets(frozenset({"qdrant_api_key"}), PROXIES)
MODELS = Secrets(frozenset(), PROXIES | {"HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN"})
ENTRANCE = Secrets(frozenset({"webhook_token", "admin_key"}))
FLOWER = Secrets(frozenset({"flower_auth"}))
RECEIVER = Secrets(frozenset({"notify_url", "notify_secret"}))
REDIS_TARGET = Secrets(frozenset({"redis_target_url"}))
ADMINISTRATION = Secrets(frozenset({"s3_admin_access_key", "s3_admin_secret_key"}))
COMMANDS = Secrets(frozenset({"api_key", "url", "copy_from_api_key", "copy_to_api_key"}))
"""Secrets of commands that people run. No process of a stack gets them."""

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
    "worker-retrieval": (REDIS, CAPTIONS, MODELS),
    "worker-extraction": (REDIS,),
    "worker-scoring": (REDIS, MODELS),
    "worker-segmentation": (REDIS, STORE, CAPTIONS, MODELS),
    "worker-ingestion": (REDIS, MODELS),
    "flower": (REDIS, FLOWER),
    "redis-target": (REDIS, REDIS_TARGET),
}
"""Process to what it needs. Everything that is no secret reaches every process."""

SECRETS = frozenset().union(*(group.settings for needs in NEEDS.values() for group in needs), COMMANDS.settings)
"""The settings that hold a secret or a URL that may contain one."""


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
