"""Signatures of Standard Webhooks: HMAC-SHA256 over id, time of the attempt and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence


def signed(keys: Sequence[bytes], delivery: str, body: bytes, now: float) -> Mapping[str, str]:
    """The three headers of an attempt at ``now`` (Unix seconds), with one signature per key."""
    at = str(int(now))
    content = b".".join((delivery.encode(), at.encode(), body))
    signatures = [base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": delivery,
        "webhook-timestamp": at,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
