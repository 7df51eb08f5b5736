"""The form of webhook secrets, as Standard Webhooks specifies it."""

from __future__ import annotations

import base64
import binascii

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes, as the specification requires


def secrets_of(text: str) -> list[bytes]:
    """The keys in ``whsec_…`` or, during a rotation, in several of them separated by commas.

    Raises ``ValueError``, whose text holds nothing of the secret.
    """
    return [_key(one.strip()) for one in text.split(",")]


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(
            f"must be {PREFIX} and {SHORTEST} to {LONGEST} random bytes in base64: openssl rand -base64 32"
        )
    return key
