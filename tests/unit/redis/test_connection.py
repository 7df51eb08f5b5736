"""Which of Redis' errors pass by themselves."""

from __future__ import annotations

import pytest
from redis._parsers import BaseParser
from redis.exceptions import ResponseError

from workers.redis.connection import StoreUnavailable, translated


@pytest.mark.parametrize(
    "said",
    [
        "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk",
        "NOREPLICAS Not enough good replicas to write.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        "CLUSTERDOWN The cluster is down", "TRYAGAIN Multiple keys request during rehashing of slot",
        "BUSY Redis is busy running a script.",
    ],
)  # fmt: skip
def test_what_passes_is_an_outage(said: str) -> None:
    with pytest.raises(StoreUnavailable), translated():
        raise BaseParser.parse_error(said)  # type: ignore[no-untyped-call]  # some have a class of their own, others their text only


@pytest.mark.parametrize("said", ["WRONGTYPE Operation against a key", "BUSYGROUP Consumer Group name exists"])
def test_what_is_a_bug_stays_one(said: str) -> None:
    with pytest.raises(ResponseError), translated():
        raise ResponseError(said)
