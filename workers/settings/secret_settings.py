"""The settings that hold a secret, in groups by what they are for.

A variable with ``_FILE`` after its name gives the value of any of them by a file (``workers.settings.secret_files``).
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings.variables import variable


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

GROUPS = (REDIS, STORE, CAPTIONS, MODELS, ENTRANCE, FLOWER, RECEIVER, REDIS_TARGET, ADMINISTRATION, COMMANDS)

SECRETS = frozenset().union(*(group.settings for group in GROUPS))
"""The settings that hold a secret or a URL that may contain one."""


def file_variable(name: str) -> str:
    """The variable that names the file of this setting."""
    return f"{variable(name)}_FILE"


FILE_VARIABLES = frozenset(map(file_variable, SECRETS))
"""The variables that name files of secrets."""
