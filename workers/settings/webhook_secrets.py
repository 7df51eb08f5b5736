"""The form of webhook secrets, as Standard Webhooks specifies it."""

from __future__ import annotations

import base64
import binascii

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes; what the specification asks of a secret


def secrets_of(told: str) -> list[bytes]:
    """The keys in ``whsec_…`` or, while one takes another's place, in several of them separated by commas.

    Raises ``ValueError``, whose text holds nothing of the secret.
    """
    return [_key(one.strip()) for one in told.split(",")]


def _key(told: str) -> bytes:
    try:
        key = base64.b64decode(told.removeprefix(PREFIX), validate=True) if told.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"is {PREFIX} and {SHORTEST} to {LONGEST} random bytes in base64: openssl rand -base64 32")
    return key
