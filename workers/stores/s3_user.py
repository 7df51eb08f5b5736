"""Creates a user of a MinIO server who may do in one bucket what wildtag's processes do, and nothing else.

Creating the bucket and enabling its notifications is left to the administrator's key pair (``wildtag s3 setup``).
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Protocol

from minio.error import MinioAdminException, MinioException
from urllib3.exceptions import HTTPError

from vectordb.errors import Permanent
from workers.stores.store import StoreAway, StoreRefuses


class Admin(Protocol):
    """What is used of minio-py's ``MinioAdmin``."""

    def policy_add(self, policy_name: str, *, policy: dict[str, Any]) -> str: ...
    def user_add(self, access_key: str, secret_key: str) -> str: ...
    def policy_set(self, policy_name: str, user: str) -> str: ...


def policy_of(bucket: str) -> dict[str, Any]:
    """The policy of wildtag's processes for this bucket, as S3 and MinIO read it."""
    text = (resources.files("workers.stores") / "s3_policy.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text.replace("BUCKET", bucket))
    return found


def policy_name(bucket: str) -> str:
    """The name of that policy on the server."""
    return f"wildtag-{bucket}"


def make_user(admin: Admin, bucket: str, access_key: str, secret_key: str, *, root: str) -> None:
    """Create or update the policy and the user. Idempotent.

    ``root``: the administrator's access key. Raises ``Permanent`` if the user is the administrator, ``StoreRefuses``,
    ``StoreAway``.
    """
    if access_key == root:
        raise Permanent(
            "WILDTAG_S3_ACCESS_KEY and WILDTAG_S3_ADMIN_ACCESS_KEY are the same: choose a user of its own for wildtag"
        )
    try:
        admin.policy_add(policy_name(bucket), policy=policy_of(bucket))
        admin.user_add(access_key, secret_key)
        admin.policy_set(policy_name(bucket), user=access_key)
    except MinioAdminException as exc:
        raise StoreRefuses(f"the MinIO server refuses to create the user: {_said(exc)}") from exc
    except (HTTPError, MinioException, OSError) as exc:
        raise StoreAway(f"no answer from the administration of the MinIO server: {exc}") from exc


def _said(exc: MinioAdminException) -> str:
    return " ".join(str(exc).split())[:300]
