"""Depths are read once for many readers, and a broker that is away becomes an outage that nobody asks again."""

from __future__ import annotations

from workers.broker.depths import DepthReader, Depths, QueueDepth
from workers.broker.publisher import BrokerUnavailable
from workers.outages.tracker import OutageTracker
from workers.settings.dependencies import BROKER

DEPTHS = Depths({"embedding": QueueDepth(3, 1)}, None)


class Broker:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    def depths(self) -> Depths:
        self.asked += 1
        self.reach()
        return DEPTHS

    def reach(self) -> None:
        if self.away:
            raise BrokerUnavailable("the broker is out of reach")


def test_many_readers_ask_once() -> None:
    broker = Broker()
    reader = DepthReader(broker, OutageTracker(probes={BROKER: broker.reach}))
    assert [reader.read() for _ in range(5)] == [DEPTHS] * 5
    assert broker.asked == 1


def test_a_broker_that_is_away_is_an_outage_and_is_not_asked_again() -> None:
    broker = Broker()
    broker.away = True
    tracker = OutageTracker(probes={BROKER: broker.reach})
    reader = DepthReader(broker, tracker)
    assert [reader.read() for _ in range(5)] == [None] * 5
    assert broker.asked == 1
    assert tracker.is_active(BROKER)
