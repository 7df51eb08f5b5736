"""API keys and their scopes. A key is ``wt_<id>_<secret>``; Redis stores only a digest of the secret.

The digest is a plain SHA-256. Slow, salted hashes protect passwords that can be guessed. A secret here has 192 random
bits, so its digest does not help an attacker, and checking it on every request is cheap.
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

from vectordb.decoders import from_json
from vectordb.errors import Permanent
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

PRESENTED = re.compile(r"wt_([0-9a-f]{12})_([0-9a-f]{48})")
NAME = re.compile(r"[\w.@+-][\w.@+ -]{0,63}")
NOBODY = "-"  # not a valid id
NO_DIGEST = "-" * 64  # not a valid digest


class Scope(IntEnum):
    """What a key allows. Each scope includes the lower ones, so check ``key.scope >= Scope.WRITE``."""

    READ = 1
    WRITE = 2
    ADMIN = 3

    @property
    def label(self) -> str:
        """The scope's public name."""
        return self.name.lower()

    @classmethod
    def named(cls, label: str) -> Self:
        """The scope with this name. Raises ``Permanent`` for an unknown one."""
        for scope in cls:
            if scope.label == label:
                return scope
        raise Permanent(f"unknown scope {label!r}; the scopes are {', '.join(scope.label for scope in cls)}")


class ApiKey(msgspec.Struct, frozen=True):
    """An API key without its secret. ``created``: Unix seconds."""

    id: str
    name: str
    scope: Scope
    created: float


class _Stored(msgspec.Struct, frozen=True):
    """A key as stored in Redis. The scope is stored by name, so that later scopes change no existing key."""

    sha256: str
    name: str
    scope: str
    created: float

    def key(self, key_id: str) -> ApiKey:
        return ApiKey(key_id, self.name, Scope.named(self.scope), self.created)


UNKNOWN = msgspec.json.encode(_Stored(NO_DIGEST, "", Scope.READ.label, 0.0))  # compared with if there is no such key


class ApiKeys:
    """The keys in Redis, which do not include ``WILDTAG_ADMIN_KEY``. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock

    def create(self, name: str, scope: Scope) -> str:
        """Create a key. It cannot be read again. Raises ``Permanent`` for an invalid name or one in use."""
        if not NAME.fullmatch(name):
            raise Permanent(f"invalid key name {name!r}: use at most 64 letters, digits, spaces and ._@+-")
        key_id, secret = secrets.token_hex(6), secrets.token_hex(24)
        body = msgspec.json.encode(_Stored(digest(secret), name, scope.label, self._clock()))

        def add(pipe: Any) -> None:
            taken = _read(pipe.hgetall(self._keys.api_keys))
            if any(name in {key.name, key.id} for key in taken):
                raise Permanent(f"a key named {name} already exists")
            pipe.multi()
            pipe.hset(self._keys.api_keys, key_id, body)

        with translated():
            self._redis.transaction(add, self._keys.api_keys)
        return f"wt_{key_id}_{secret}"

    def list(self) -> tuple[ApiKey, ...]:
        """All keys in Redis, oldest first."""
        with translated():
            found = _read(self._redis.hgetall(self._keys.api_keys))
        return tuple(sorted(found, key=lambda key: (key.created, key.id)))

    def remove(self, which: str) -> bool:
        """Delete the key with this id or name, and its sessions. Whether it existed."""
        ids = [key.id for key in self.list() if which in {key.id, key.name}]
        if not ids:
            return False
        with translated():
            pipe = self._redis.pipeline()
            pipe.hdel(self._keys.api_keys, *ids)
            pipe.delete(*map(self._keys.page_sessions, ids))
            return bool(pipe.execute()[0])

    def get(self, key_id: str) -> ApiKey | None:
        """The key with this id; ``None`` if there is none."""
        with translated():
            body = self._redis.hget(self._keys.api_keys, key_id)
        return None if body is None else from_json(body, _Stored).key(key_id)

    def look_up(self, presented: str) -> ApiKey | None:
        """The key that was presented; ``None`` if it is unknown. Takes the same time in both cases."""
        found = PRESENTED.fullmatch(presented)
        key_id, secret = found.groups() if found else (NOBODY, presented)
        with translated():
            body = self._redis.hget(self._keys.api_keys, key_id)
        stored = from_json(body or UNKNOWN, _Stored)
        return stored.key(key_id) if hmac.compare_digest(digest(secret), stored.sha256) else None


def _read(answer: dict[bytes, bytes]) -> list[ApiKey]:
    return [from_json(body, _Stored).key(text(key_id)) for key_id, body in answer.items()]


def digest(secret: str) -> str:
    """The SHA-256 of any text, in hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
