"""Sessions of the page. Its cookie is ``<owner>.<issued>.<secret>``: a random secret of its own, not an API key.

Cookies do not separate ports: a browser sends those of ``127.0.0.1`` to every server there. So the cookie must end,
and it must not be the key. Redis holds digests, as for API keys. The digest is an HMAC: the ``binding`` of a session
of an admin key of the settings is the key's digest, so the session ends when that key is replaced.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

IDLE_S = 7 * 86_400  # unused for so long, a session ends
LONGEST_S = 30 * 86_400  # and after this at the latest
RENEWED_S = 3600  # uses are recorded that often
MOST = 1000  # of one API key; of more, those end that would end first
ADMIN = "admin"  # the owner of sessions of admin keys; not a valid id of a key in Redis
_SHOWN = re.compile(rf"([0-9a-f]{{12}}|{ADMIN})\.([0-9]{{10}})\.[0-9a-f]{{64}}")


class Sessions:
    """The sessions in Redis. ``owner``: the id of an API key, or ``ADMIN``. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock

    def create(self, owner: str, binding: bytes = b"") -> str:
        """Begin a session. It cannot be read again."""
        now = self._clock()
        shown, name = f"{owner}.{int(now):010}.{secrets.token_hex(32)}", self._keys.page_sessions(owner)
        with translated():
            pipe = self._redis.pipeline()
            pipe.zadd(name, {_digest(shown, binding): now + IDLE_S})
            pipe.zremrangebyscore(name, "-inf", now)
            pipe.zremrangebyrank(name, 0, -MOST - 1)
            pipe.expire(name, IDLE_S)
            pipe.execute()
        return shown

    def owner(self, shown: str) -> str | None:
        """Whose session this claims to be; ``None`` for what is no session. Asks nobody."""
        found = _SHOWN.fullmatch(shown)
        return found[1] if found else None

    def known(self, shown: str, binding: bytes = b"") -> bool:
        """Whether this is a session that has not ended. It lasts for another ``IDLE_S`` then."""
        found = _SHOWN.fullmatch(shown)
        if not found:
            return False
        now, name, digest = self._clock(), self._keys.page_sessions(found[1]), _digest(shown, binding)
        with translated():
            until = self._redis.zscore(name, digest)
            if until is None or until <= now:
                return False
            renewed = min(now + IDLE_S, int(found[2]) + LONGEST_S)
            if renewed - until >= RENEWED_S:
                pipe = self._redis.pipeline()
                pipe.zadd(name, {digest: renewed}, xx=True)  # not if it ended meanwhile
                pipe.expire(name, IDLE_S)
                pipe.execute()
        return True

    def end(self, shown: str, binding: bytes = b"") -> None:
        """End a session, if it is one."""
        owner = self.owner(shown)
        if owner is not None:
            with translated():
                self._redis.zrem(self._keys.page_sessions(owner), _digest(shown, binding))


def _digest(shown: str, binding: bytes) -> str:
    return hmac.new(binding, shown.encode(), hashlib.sha256).hexdigest()
