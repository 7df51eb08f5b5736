"""Watches whether Redis can write its files, and has a damaged append-only file replaced.

Once Redis could not write its append-only file, as on a full disk, that file may have a hole of zeros with which the
next start of Redis fails (``workers.embedded.aof_repair``). A rewrite makes a new one, so it is asked for as soon as
writing works again, and again until it has succeeded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.exceptions import NoPermissionError, ResponseError

from workers.redis.connection import Client, said, translated
from workers.redis.persistence import failed_writes

log = structlog.get_logger()

AGAIN_S = 60.0  # between two requests to rewrite


@dataclass
class _Server:
    redis: Any
    failed: list[str] = field(default_factory=list)
    broken: bool = False  # it could not write its append-only file at the last look
    wanted: bool = False  # a rewrite
    asked_at: float | None = None


class PersistenceWatch:
    """Looks at each server once per ``step``. Raises ``StoreUnavailable``."""

    def __init__(self, clients: Sequence[Client], clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = [_Server(client) for client in clients]
        self._clock = clock

    def step(self) -> None:
        """Log what a server cannot write any more, or can again, and ask for rewrites that are due."""
        for server in self._servers:
            try:
                with translated():
                    info: dict[str, Any] = dict(server.redis.info("persistence"))
            except NoPermissionError:  # a managed server
                continue
            self._log(server, list(failed_writes(info)))
            self._mend(server, info)

    def _log(self, server: _Server, failed: list[str]) -> None:
        for reason in failed:
            if reason not in server.failed:
                log.error("redis cannot write to its disk", reason=reason)
        if server.failed and not failed:
            log.info("redis can write to its disk again")
        server.failed = failed

    def _mend(self, server: _Server, info: dict[str, Any]) -> None:
        broken = str(info.get("aof_last_write_status", "ok")) != "ok"
        if server.broken and not broken:
            server.wanted, server.asked_at = True, None
        server.broken = broken
        running = info.get("aof_rewrite_in_progress") or info.get("aof_rewrite_scheduled")
        if broken or running or not server.wanted or not info.get("aof_enabled"):
            return
        if server.asked_at is not None:
            if str(info.get("aof_last_bgrewrite_status", "ok")) == "ok":
                log.info("redis has rewritten its append-only file")
                server.wanted = False
                return
            if self._clock() - server.asked_at < AGAIN_S:
                return
        server.asked_at = self._clock()
        try:
            with translated():
                server.redis.bgrewriteaof()
        except (NoPermissionError, ResponseError) as exc:
            server.wanted = False
            log.warning("redis must rewrite its append-only file: run BGREWRITEAOF", reason=said(exc))
        else:
            log.warning("redis rewrites its append-only file, which may be damaged", because="it could not write it")
