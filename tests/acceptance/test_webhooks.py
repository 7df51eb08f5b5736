"""Several receivers of a real stack. One always fails, the notifier is killed, others come later: nobody is sent what
it does not want, and nobody misses what it wants.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack, started
from tests.contract.receiver import Receiver, Reply, receiving
from tests.eventually import eventually
from workers.gateway.home_key import FILE as HOME_KEY_FILE

pytestmark = pytest.mark.timeout(600)

SECRETS = {
    name: f"whsec_{letter * 43}="
    for name, letter in (("shop", "A"), ("broken", "E"), ("late", "I"), ("archive", "M"))
}  # fmt: skip
CAT = photograph("chelsea.png")
PATIENCE_S = 90.0


def write_file(path: Path, receivers: Mapping[str, Receiver], more: Mapping[str, Mapping[str, Any]]) -> None:
    tables = {
        name: {"url": receiver.url, "secret": SECRETS[name], **more.get(name, {})}
        for name, receiver in receivers.items()
    }  # fmt: skip
    path.write_text(json.dumps(tables))


def kinds(receiver: Receiver) -> list[tuple[str, str]]:
    """Type and subject of what was accepted, once for each event."""
    events = {one.id: one.event for one in receiver.seen if one.id in receiver.taken}
    return sorted((one["type"], one["data"].get("key") or one["data"].get("id") or "") for one in events.values())


World = tuple[Stack, dict[str, Receiver], Path]


@pytest.fixture(scope="module")
def world(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("webhooks")
    file = base / "receivers.json"
    with ExitStack() as stack:
        receivers = {name: stack.enter_context(receiving()) for name in SECRETS}
        receivers["broken"].answer = lambda _: Reply(500, body=b"out of order")
        write_file(file, {name: receivers[name] for name in ("shop", "broken")}, {"shop": {"events": ["*"]}})
        up = stack.enter_context(
            started(prepared, base / "home", WILDTAG_NOTIFY_FILE=str(file), WILDTAG_OUTGOING_ALLOW="127.0.0.1")
        )
        yield up, receivers, file


def test_one_that_fails_and_a_killed_notifier_cost_the_other_nothing(
    world: World,
) -> None:
    stack, receivers, _ = world
    shop = receivers["shop"]
    drop(stack.inbox, "a.png", CAT)
    eventually(lambda: ("object.done", "a.png") in kinds(shop), PATIENCE_S, stack.said)
    os.kill(stack.process("notifier"), signal.SIGKILL)
    with httpx.Client(base_url=stack.info().addresses["gateway"], timeout=90) as http:
        sent = http.post(
            "/v1/images", content=CAT + b"2", params={"wait": 60, "file_name": "Katze.png", "client_id": "c-1"}
        ).json()
        batch = http.post("/v1/batches", json={"keys": ["a.png", sent["key"], "never.png"]}).json()["id"]
        eventually(lambda: ("batch.finished", batch) in kinds(shop), PATIENCE_S, stack.said)
        assert http.delete(f"/v1/images/{sent['id']}").is_success
        eventually(lambda: ("object.removed", sent["key"]) in kinds(shop), PATIENCE_S, stack.said)
        admin = {"Authorization": f"Bearer {(stack.home / HOME_KEY_FILE).read_text().strip()}"}
        listed = {one["name"]: one for one in http.get("/v1/webhooks", headers=admin).json()["receivers"]}
        status = {one["name"]: one for one in http.get("/v1/status").json()["webhooks"]}
        metrics = http.get("/metrics").text
    assert kinds(shop) == sorted([
        ("object.done", "a.png"), ("object.done", sent["key"]), ("object.removed", sent["key"]),
        ("batch.finished", batch),
    ])  # fmt: skip
    events = {one.event["type"]: one.event for one in shop.seen}
    assert events["batch.finished"]["data"]["counts"] == {"done": 2, "gone": 1}
    assert events["batch.finished"]["data"]["gone"] == ["never.png"]
    removed = events["object.removed"]["data"]
    assert (removed["file_name"], removed["client_id"], removed["bucket"]) == ("Katze.png", "c-1", "inbox")
    for request in shop.seen:
        request.verify(SECRETS["shop"])
    for request in receivers["broken"].seen:
        request.verify(SECRETS["broken"])
        assert request.event["type"] == "object.done"
    assert status.keys() == listed.keys() == {"shop", "broken"}
    broken = listed["broken"]
    assert (broken["delivered"], broken["last_answer"], broken["served"]) == (0, "HTTP 500: out of order", True)
    assert broken["failing_since"].endswith("Z")
    assert 'wildtag_webhook_waiting{receiver="broken"}' in metrics
    assert "/hook" not in metrics + json.dumps(listed)
    shown = stack.wildtag("webhooks", "list").stdout
    assert "failing since" in shown
    assert "/hook" not in shown
    assert "webhook broken" in stack.wildtag("status").stdout


def test_new_receivers_begin_with_now_or_the_beginning_and_old_ones_go_on(
    world: World,
) -> None:
    stack, receivers, file = world
    before = len(receivers["shop"].seen)
    stack.stop()
    write_file(
        file, {name: receivers[name] for name in ("shop", "late", "archive")}, {"archive": {"from_beginning": True}}
    )
    stack.start()
    drop(stack.inbox, "b.png", CAT + b"3")
    for name in ("shop", "late", "archive"):
        eventually(lambda name=name: ("object.done", "b.png") in kinds(receivers[name]), PATIENCE_S, stack.said)  # type: ignore[misc]
    assert kinds(receivers["late"]) == [("object.done", "b.png")]
    assert [one.event["data"]["key"] for one in receivers["shop"].seen[before:]] == ["b.png"]
    assert {"a.png", "b.png"} < {key for _, key in kinds(receivers["archive"])}
    listed = stack.wildtag("webhooks", "list")
    assert "broken is not configured any more" in listed.stderr
    log = (stack.home / "logs" / "notifier.log").read_text()
    assert "a receiver is not configured any more" in log
    assert "/hook" not in log
    stack.wildtag("webhooks", "forget", "broken", "--yes")
    lines = stack.wildtag("webhooks", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["archive", "late", "shop"]
