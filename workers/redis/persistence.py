"""What a restart of the Redis servers would lose, by their configuration, and whether they may drop keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from workers.redis.connection import Client, text, translated

AGAIN = "records are then made again from the bucket, but batches, API keys and pending deliveries are lost"


def risks(clients: Iterable[Client]) -> list[str]:
    """A sentence for each risk, each once. What a server does not tell, as managed ones do, counts as none.

    Raises ``StoreUnavailable``.
    """
    found: dict[str, None] = {}
    for client in clients:
        server: Any = client
        with translated(), contextlib.suppress(NoPermissionError):
            info: dict[str, Any] = dict(server.info("all"))
            found.update(dict.fromkeys(_of(info, _configured(server))))
    return list(found)


def _configured(server: Any) -> dict[str, str]:
    """``appendfsync`` and ``save``; empty where CONFIG is not allowed."""
    try:
        given = server.config_get("appendfsync", "save")
    except (NoPermissionError, ResponseError):
        return {}
    return {text(name): text(value) for name, value in given.items()}


def failed_writes(info: Mapping[str, Any]) -> Iterable[str]:
    """A sentence for each file that a server could not write when it last tried. ``info``: of its persistence."""
    if str(info.get("aof_last_write_status", "ok")) != "ok":
        yield "Redis cannot write its append-only file, and refuses writes until it can: is its disk full?"
    if str(info.get("aof_last_bgrewrite_status", "ok")) != "ok":
        yield "Redis could not rewrite its append-only file, which grows until it can: is its disk or memory full?"
    if str(info.get("rdb_last_bgsave_status", "ok")) != "ok":
        yield "Redis could not write its last snapshot, and may refuse writes: is its disk or memory full?"


def _of(info: dict[str, Any], configured: dict[str, str]) -> Iterable[str]:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield (
            f"Redis may drop keys when its memory is full ({policy}), and records would disappear without a word:"
            " set maxmemory-policy noeviction"
        )
    yield from failed_writes(info)
    if info.get("aof_enabled") == 0:
        if configured.get("save") == "":
            yield f"Redis writes nothing to its disk, so a restart loses everything; {AGAIN}: set appendonly yes"
        elif "save" in configured:
            yield (
                f"Redis writes only snapshots to its disk, so a restart loses what came since the last one; {AGAIN}:"
                " set appendonly yes"
            )
    elif configured.get("appendfsync") == "no":
        yield (
            "Redis leaves it to the system when its append-only file is written, so a loss of power loses up to half"
            " a minute: set appendfsync everysec"
        )
