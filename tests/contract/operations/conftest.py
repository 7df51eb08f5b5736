"""A Redis with records, and commands that are run over it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.message_parts import ObjectRef, Revision
from tests import warm
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Error, Record, State
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import Layout

REVISION = Revision("space", "captions@1")
Wildtag = Callable[..., subprocess.CompletedProcess[str]]
Finish = Callable[..., None]


@pytest.fixture
def ledger(client: Client, keys: Keys) -> Ledger:
    Layout(client, keys).require()
    return Ledger(client, keys, 10_000)


@pytest.fixture
def finish(ledger: Ledger) -> Finish:
    """Writes a record of an object that was accepted a second before."""

    def write(key: str, state: State, at: float, code: str = "poisonous", etag: str = "e") -> None:
        ledger.enter([Arrival(ObjectRef("inbox", key, etag), verified=True, force=True)], REVISION, at - 1, at + 60)
        record = Record(
            bucket="inbox", key=key, etag=etag, state=state, space_id=REVISION.space_id,
            captions_version=REVISION.captions_version, finished_at=at, timings_ms={"total": 1000.0},
            error=None if state == "done" else Error(code, f"{code}: it may crash the worker"),
        )  # fmt: skip
        assert ledger.finish([record], at) == [True]

    return write


@pytest.fixture
def wildtag(tmp_path: Path, redis_url: str, keys: Keys) -> Wildtag:
    """Runs a command to its end."""
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": redis_url,
        "WILDTAG_KEY_PREFIX": keys.prefix,
    }  # fmt: skip

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return warm.wildtag(*arguments, env=environment | settings, timeout=90)

    return run
