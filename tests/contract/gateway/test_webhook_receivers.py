"""How receivers of webhooks stand, in the API, the status and the metrics; and the bodies that the API describes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from tests.contract.gateway.running import Running
from workers.gateway.api_keys import Scope
from workers.gateway.webhook_models import BatchEvent, DeadLetters, RecordEvent, RemovedEvent, WebhookReceivers
from workers.notifying.delivery import delivery_from, trial
from workers.notifying.outbox import Outbox
from workers.notifying.plan import Answer, Verdict
from workers.settings.webhook_kinds import BATCH, KINDS, REMOVED


def failed(gateway: Running, name: str, outcome: Any) -> None:
    """An attempt of a notifier that failed."""
    wiring = gateway.wiring
    outbox, now = Outbox(wiring.redis, wiring.keys, name), time.time()
    outbox.accept([trial("x", now)], wiring.keys.feed, "group", [])
    (taken,) = outbox.take(now + 1, now + 60, 9)
    outbox.settle(taken, Verdict(outcome, now + 60), Answer(503, "busy"), now - 60, now + 60)


def admin(gateway: Running) -> dict[str, str]:
    return {"Authorization": f"Bearer {gateway.wiring.api_keys.create('admin', Scope.ADMIN)}"}


def test_each_receiver_is_shown_by_its_name(gateway: Running) -> None:
    gateway.wiring.receivers.report([("shop", "https://shop.example", KINDS), ("crm", "http://crm", [BATCH])])
    failed(gateway, "shop", "retried")
    body = gateway.http.get("/v1/webhooks", headers=admin(gateway)).json()
    WebhookReceivers.model_validate(body)
    crm, shop = body["receivers"]
    assert (crm["name"], crm["events"], crm["failing_since"], crm["served"]) == ("crm", [BATCH], None, True)
    assert (shop["waiting"], shop["retried"], shop["last_answer"]) == (1, 1, "HTTP 503: busy")
    assert shop["failing_since"] == shop["last_at"] < shop["held_until"]
    assert gateway.http.get("/v1/status").json()["webhooks"] == body["receivers"]
    metrics = gateway.http.get("/metrics").text
    assert 'wildtag_webhook_waiting{receiver="shop"} 1.0' in metrics
    assert 'wildtag_webhook_deliveries_total{outcome="retried",receiver="shop"} 1.0' in metrics
    (failing,) = [
        line for line in metrics.splitlines() if line.startswith('wildtag_webhook_failing_seconds{receiver="shop"')
    ]
    assert 55 < float(failing.split()[1]) < 600


def test_dead_letters_of_one_receiver(gateway: Running) -> None:
    gateway.wiring.receivers.report([("shop", "https://shop.example", KINDS), ("crm", "http://crm", [BATCH])])
    for name in ("shop", "crm"):
        failed(gateway, name, "dead")
    headers = admin(gateway)
    everything = gateway.http.get("/v1/webhooks/dead", headers=headers).json()
    DeadLetters.model_validate(everything)
    assert {one["receiver"] for one in everything["deliveries"]} == {"shop", "crm"}
    (one,) = gateway.http.get("/v1/webhooks/dead", headers=headers, params={"receiver": "crm"}).json()["deliveries"]
    assert one["receiver"] == "crm"
    assert gateway.http.get("/v1/webhooks/dead", headers=headers, params={"receiver": "A b"}).status_code == 422
    pages = gateway.http.get("/v1/webhooks/dead", headers=headers, params={"limit": 1}).json()
    rest = gateway.http.get(
        "/v1/webhooks/dead", headers=headers, params={"limit": 1, "cursor": pages["cursor"]}
    ).json()
    assert pages["deliveries"] + rest["deliveries"] == everything["deliveries"]
    other = {"limit": 1, "cursor": pages["cursor"], "receiver": "crm"}
    assert gateway.http.get("/v1/webhooks/dead", headers=headers, params=other).status_code == 400
    assert gateway.http.post(f"/v1/webhooks/dead/{one['id']}:replay", headers=headers).status_code == 202
    assert gateway.http.post(f"/v1/webhooks/dead/{one['id']}:replay", headers=headers).status_code == 404
    assert Outbox(gateway.wiring.redis, gateway.wiring.keys, "crm").waiting() == 1


@pytest.mark.parametrize("receiver", [None, "shop", "default"])
def test_pages_of_dead_letters_have_each_once(gateway: Running, receiver: str | None) -> None:
    gateway.wiring.receivers.report([("shop", "https://shop.example", KINDS), ("crm", "http://crm", [BATCH])])
    for _ in range(3):
        for name in ("shop", "crm", "default"):
            failed(gateway, name, "dead")
    headers, params = admin(gateway), {} if receiver is None else {"receiver": receiver}
    whole = gateway.http.get("/v1/webhooks/dead", headers=headers, params=params).json()["deliveries"]
    assert len(whole) == (9 if receiver is None else 3)
    found: list[object] = []
    cursor: dict[str, str] = {}
    while True:
        answer = gateway.http.get("/v1/webhooks/dead", headers=headers, params={**params, "limit": 2, **cursor})
        page = answer.json()
        found += page["deliveries"]
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert found == whole


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (RecordEvent, {b"oid": b"b/k", b"state": b"done", b"body":
                       b'{"bucket":"b","key":"k","etag":"e","state":"done","space_id":"s","captions_version":"c"}'}),
        (RemovedEvent, {b"oid": b"b/k", b"state": b"removed", b"body": b"",
                        b"removed": b'{"etag":"e","client_id":"7"}'}),
        (BatchEvent, {b"batch": b"5f", b"body":
                      b'{"id":"5f","created_at":"2025-06-01T11:58:00Z","finished_at":"2025-06-01T12:00:00Z",'
                      b'"prefix":null,"total":1,"counts":{"gone":1},"failures":[],"gone":["k"]}'}),
    ],
)  # fmt: skip
def test_the_bodies_are_those_that_the_api_describes(model: type[BaseModel], fields: Mapping[bytes, bytes]) -> None:
    delivery = delivery_from("1748779200000-0", fields, 0.0)
    event = model.model_validate_json(delivery.body).model_dump()
    assert event["type"] == delivery.type
    assert delivery.type in {"object.done", REMOVED, BATCH}
