"""Lets one command at a time work on all keys of a stack: backup, restore, migration, switch of the encoder."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vectordb.errors import Permanent, Transient
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

LOCK = "maintenance"
LIFETIME_MS = 10_000  # so long a command that was killed keeps others waiting
RENEWALS = 5  # in a lifetime
LOOK_S = 0.25


class MaintenanceRunning(Permanent):
    """Another command has the lock, or took it over. The text names it."""


@contextmanager
def alone(
    client: Client, keys: Keys, command: str, say: Callable[[str], None], lifetime_ms: int = LIFETIME_MS,
    *, lock: str = LOCK,
) -> Iterator[Callable[[], None]]:  # fmt: skip
    """Hold the lock. Gives a function that raises ``MaintenanceRunning`` if it was lost, as after a suspension.

    ``command``: what others are told that runs. Waits for the lock of a process that was killed; ``say`` is told so.
    ``lock``: its name, for commands that exclude each other for another reason. Raises ``MaintenanceRunning``,
    ``StoreUnavailable``.
    """
    redis: Any = client
    key, token = keys.lock(lock), f"{secrets.token_hex(8)} {command}".encode()
    _acquire(redis, key, token, say, lifetime_ms)
    lost, ended = threading.Event(), threading.Event()

    def renew() -> None:
        while not ended.wait(lifetime_ms / 1000 / RENEWALS):
            try:
                with translated():
                    if redis.get(key) == token:
                        redis.pexpire(key, lifetime_ms)
                    elif not redis.set(key, token, nx=True, px=lifetime_ms):
                        lost.set()
            except Transient:
                continue  # whoever reads or writes meets it, too

    def check() -> None:
        if lost.is_set():
            with translated():
                other = _command(redis.get(key))
            raise MaintenanceRunning(f"{other} has taken over: this command was suspended for too long")

    thread = threading.Thread(target=renew, name="maintenance lock", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        ended.set()
        thread.join()
        with translated():
            if redis.get(key) == token:
                redis.delete(key)


def _acquire(redis: Any, key: str, token: bytes, say: Callable[[str], None], lifetime_ms: int) -> None:
    until = time.monotonic() + lifetime_ms / 1000 + 1
    told = False
    with translated():
        while not redis.set(key, token, nx=True, px=lifetime_ms):
            other = _command(redis.get(key))
            if time.monotonic() > until:
                raise MaintenanceRunning(f"{other} is running on these keys: wait until it has ended")
            if not told:
                say(f"{other} has the lock: waiting to see whether it is still running")
                told = True
            time.sleep(LOOK_S)


def _command(token: bytes | None) -> str:
    name = text(token or b"").partition(" ")[2]
    return f"another `wildtag {name}`" if name else "another backup, restore or migration"
