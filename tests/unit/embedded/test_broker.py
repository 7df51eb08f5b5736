"""A broker of the user's own is awaited while the stack starts, unless waiting cannot help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from vectordb.errors import Permanent
from workers.broker.publisher import BrokerRefused, BrokerUnavailable
from workers.embedded.broker import await_broker


class Broker:
    """Fails with each fault in turn, then answers."""

    def __init__(self, faults: Iterable[BrokerUnavailable]) -> None:
        self._faults: Iterator[BrokerUnavailable] = iter(faults)

    def reach(self) -> None:
        for fault in self._faults:
            raise fault


def test_it_is_awaited_and_that_is_said_once() -> None:
    said: list[str] = []
    await_broker(Broker([BrokerUnavailable("refused"), BrokerUnavailable("refused")]), said.append)
    assert said == ["Waiting for the broker of WILDTAG_BROKER_URL: refused"]


def test_in_the_end_the_stack_does_not_start() -> None:
    with pytest.raises(Permanent, match=r"timed out.*WILDTAG_BROKER_URL"):
        await_broker(Broker([BrokerUnavailable("timed out")] * 9), lambda _: None, patience_s=0)


def test_a_wrong_account_is_not_awaited() -> None:
    said: list[str] = []
    with pytest.raises(Permanent, match="no such user"):
        await_broker(Broker([BrokerRefused("no such user")] * 9), said.append)
    assert said == []
