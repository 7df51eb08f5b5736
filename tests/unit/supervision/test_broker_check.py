"""The doctor checks a broker that the settings name, and shows no password."""

from __future__ import annotations

from workers.broker.publisher import BrokerUnavailable
from workers.diagnostics.broker_check import broker_check

URL = "amqp://u:secret@h:5672/v"


def test_no_check_without_a_broker_of_its_own() -> None:
    assert not list(broker_check(None, lambda: None))


def test_what_takes_messages_passes() -> None:
    (check,) = broker_check(URL, lambda: None)
    assert (check.ok, check.detail) == (True, "amqp://h:5672/v takes messages")


def test_what_does_not_fails_with_the_reason() -> None:
    def away() -> None:
        raise BrokerUnavailable("the broker is out of reach: refused")

    (check,) = broker_check(URL, away)
    assert check.ok is False
    assert check.detail == "amqp://h:5672/v: the broker is out of reach: refused"
    assert "WILDTAG_BROKER_URL" in check.remedy
