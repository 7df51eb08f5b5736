"""The webhook takes what other servers than MinIO send, and the ways in which they authenticate."""

from __future__ import annotations

import base64

import pytest

from tests.contract.gateway.test_webhook import TOKEN, Gateway
from tests.contract.gateway.test_webhook import gateway as gateway  # noqa: PLC0414 -- a fixture
from tests.contract.gateway.test_webhook import process as process  # noqa: PLC0414 -- as above
from tests.unit.events import other_servers as other
from tests.unit.events.samples import body, record
from workers.redis.keys import Keys


@pytest.mark.parametrize(
    ("shown", "status"),
    [(f"me:{TOKEN}", 200), (f":{TOKEN}", 200), ("me:wrong", 401), (f"{TOKEN}:", 401), (TOKEN, 401), ("", 401)],
)
def test_the_token_may_be_the_password_of_basic_authentication(gateway: Gateway, shown: str, status: int) -> None:
    """Amazon SNS can send nothing else, and first sends nothing."""
    basic = {"Authorization": f"Basic {base64.b64encode(shown.encode()).decode()}"}
    assert gateway.post(body(record(key="a.jpg")), basic, token=None) == status
    assert gateway.post(body(record()), {"Authorization": "Basic !"}, token=None) == 401


def test_a_body_of_another_server_is_read_and_a_key_that_is_missing_asks_for_a_sweep(gateway: Gateway) -> None:
    assert gateway.post(other.sns(body(record(key="a.jpg"))), {"Content-Type": "text/plain; charset=UTF-8"}) == 200
    assert gateway.post(other.dump(other.AMAZON_TEST)) == 200
    assert gateway.post(other.rustfs_alpha()) == 202
    assert gateway.stored == ["a.jpg"]
    assert gateway.event_sink.counts() == {
        "webhook:events": 1, "webhook:ignored:TestEvent": 1, "webhook:rejected": 1,
    }  # fmt: skip
    assert gateway.client.hgetall(Keys("test:").sweep_requests) == {b"": b"1"}
