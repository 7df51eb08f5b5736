"""API keys: who may ask the gateway for what. ``wt_<id>_<secret>``; Redis holds a digest of the secret alone.

The digest is one plain SHA-256. Slow, salted hashes protect secrets that people choose, which can be guessed; this is
192 random bits, so nobody who reads the digest gets any closer to it, and every request can afford to be checked.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Self

import msgspec

from vectordb.errors import Permanent
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

PRESENTED = re.compile(r"wt_([0-9a-f]{12})_([0-9a-f]{48})")
NAME = re.compile(r"[\w.@+-][\w.@+ -]{0,63}")
NOBODY = "-"  # no key has this id
NO_DIGEST = "-" * 64  # of no secret: not hexadecimal


class Scope(IntEnum):
    """What a key allows: each scope includes those below it, so ``key.scope >= Scope.WRITE`` is the question."""

    READ = 1
    WRITE = 2
    ADMIN = 3

    @property
    def label(self) -> str:
        """What it is called outside of the code."""
        return self.name.lower()

    @classmethod
    def named(cls, label: str) -> Self:
        """The scope of this name. Raises ``Permanent``."""
        for scope in cls:
            if scope.label == label:
                return scope
        raise Permanent(f"{label!r} is no scope; there are {', '.join(scope.label for scope in cls)}")


class ApiKey(msgspec.Struct, frozen=True):
    """What is known of a key; ``created`` in Unix seconds."""

    id: str
    name: str
    scope: Scope
    created: float


class _Stored(msgspec.Struct, frozen=True):
    """A key at rest. The scope goes by its name: one that is added later between two others moves nobody."""

    sha256: str
    name: str
    scope: str
    created: float

    def key(self, key_id: str) -> ApiKey:
        return ApiKey(key_id, self.name, Scope.named(self.scope), self.created)


UNKNOWN = msgspec.json.encode(_Stored(NO_DIGEST, "", Scope.READ.label, 0.0))  # what is compared where there is no key


class ApiKeys:
    """The keys in Redis; the one of the settings is not among them. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock

    def create(self, name: str, scope: Scope) -> str:
        """A new key, which cannot be shown again. Raises ``Permanent`` for a name that is taken or is none."""
        if not NAME.fullmatch(name):
            raise Permanent(f"{name!r} is no name of a key: letters, digits, spaces and ._@+-, at most 64 of them")
        key_id, secret = secrets.token_hex(6), secrets.token_hex(24)
        body = msgspec.json.encode(_Stored(digest(secret), name, scope.label, self._clock()))

        def add(pipe: Any) -> None:
            taken = _read(pipe.hgetall(self._keys.api_keys))
            if any(name in {key.name, key.id} for key in taken):
                raise Permanent(f"there is a key {name} already")
            pipe.multi()
            pipe.hset(self._keys.api_keys, key_id, body)

        with translated():
            self._redis.transaction(add, self._keys.api_keys)
        return f"wt_{key_id}_{secret}"

    def list(self) -> tuple[ApiKey, ...]:
        """All keys in Redis, the oldest first."""
        with translated():
            found = _read(self._redis.hgetall(self._keys.api_keys))
        return tuple(sorted(found, key=lambda key: (key.created, key.id)))

    def remove(self, which: str) -> bool:
        """Forget the key of this id or name: from now on nobody knows it. Whether there was one."""
        ids = [key.id for key in self.list() if which in {key.id, key.name}]
        with translated():
            return bool(ids and self._redis.hdel(self._keys.api_keys, *ids))

    def look_up(self, presented: str) -> ApiKey | None:
        """Whose key this is; ``None`` if it is nobody's. One that is not known takes as long as one that is."""
        found = PRESENTED.fullmatch(presented)
        key_id, secret = found.groups() if found else (NOBODY, presented)
        with translated():
            body = self._redis.hget(self._keys.api_keys, key_id)
        stored = msgspec.json.decode(body or UNKNOWN, type=_Stored)
        return stored.key(key_id) if hmac.compare_digest(digest(secret), stored.sha256) else None


def _read(answer: dict[bytes, bytes]) -> list[ApiKey]:
    return [msgspec.json.decode(body, type=_Stored).key(text(key_id)) for key_id, body in answer.items()]


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal digits, of whatever somebody may send."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
