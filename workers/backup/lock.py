"""Lets one command at a time work on the keys of a stack: a backup or restore, or one that changes the encoder."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vectordb.errors import Transient
from workers.backup.form import BackupError
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

NAME = "backup"
WHAT = "backup or restore"
LIFETIME_MS = 10_000  # so long a backup that was killed keeps others waiting
RENEW_S = 2.0
LOOK_S = 0.25


@contextmanager
def alone(
    client: Client, keys: Keys, say: Callable[[str], None], name: str = NAME, what: str = WHAT
) -> Iterator[Callable[[], None]]:  # fmt: skip
    """Hold the lock. Gives a function that raises ``BackupError`` if it was lost, as after a suspension.

    Waits for that of a process that was killed; ``say`` is told so. ``name``: of the lock. ``what``: who holds it,
    for people. Raises ``BackupError``, ``StoreUnavailable``.
    """
    redis: Any = client
    key, token = keys.lock(name), secrets.token_hex(8).encode()
    _acquire(redis, key, token, say, what)
    lost, ended = threading.Event(), threading.Event()

    def renew() -> None:
        while not ended.wait(RENEW_S):
            try:
                with translated():
                    if redis.get(key) == token:
                        redis.pexpire(key, LIFETIME_MS)
                    elif not redis.set(key, token, nx=True, px=LIFETIME_MS):
                        lost.set()
            except Transient:
                continue  # whoever reads or writes meets it, too

    def check() -> None:
        if lost.is_set():
            raise BackupError(f"another {what} has taken over: this one was suspended for too long")

    thread = threading.Thread(target=renew, name="backup lock", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        ended.set()
        thread.join()
        with translated():
            if redis.get(key) == token:
                redis.delete(key)


def _acquire(redis: Any, key: str, token: bytes, say: Callable[[str], None], what: str) -> None:
    until = time.monotonic() + LIFETIME_MS / 1000 + 1
    told = False
    with translated():
        while not redis.set(key, token, nx=True, px=LIFETIME_MS):
            if time.monotonic() > until:
                raise BackupError(f"another {what} of these keys is running")
            if not told:
                say(f"another {what} has the lock: waiting to see whether it is still running")
                told = True
            time.sleep(LOOK_S)
