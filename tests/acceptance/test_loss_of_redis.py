"""Redis loses all keys under a running stack: it recovers by itself, and says what was lost."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable

import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.acceptance.test_nothing_is_lost import variants
from tests.acceptance.test_teaching import cropped, follows, taught
from tests.eventually import eventually
from workers.redis.connection import connect
from workers.redis.keys import Keys
from workers.redis.layout import VERSION
from workers.settings.settings import Settings

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]


def emptied(stack: Stack) -> None:
    """As an operator empties the wrong Redis."""
    connect(stack.info().addresses["redis"]).flushall()


def said_by(stack: Stack, name: str) -> str:
    return (stack.home / "logs" / f"{name}.log").read_text(errors="replace")


def test_a_stack_recovers_when_redis_is_emptied(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(WILDTAG_RESCAN_S="3600", WILDTAG_GRACE_S="2", WILDTAG_WRITE_BACK="sidecar")
    stack.start()
    keys = Keys(Settings.model_fields["key_prefix"].default)
    redis = connect(stack.info().addresses["redis"])
    drop(stack.inbox, "cat.png", photograph("chelsea.png"))
    drop(stack.inbox, "cat again.png", cropped("chelsea.png", 0.04))
    for n, data in enumerate(variants(10)):
        drop(stack.inbox, f"{n}.jpg", data)
    before = stack.settled(12)
    taught(stack, "cat.png", "Chelsea")
    follows(stack, "cat again.png", "Chelsea")
    stack.wildtag("keys", "create", "for me", "--scope", "read")
    eventually(lambda: not redis.exists(keys.refill), 60, stack.said)
    pids = stack.info().pids
    time.sleep(6)  # the dispatcher counts every five seconds

    emptied(stack)
    drop(stack.inbox, "new.jpg", photograph("rocket.jpg"))
    after = stack.settled(13, patience=120)
    assert after.keys() == before.keys() | {"new.jpg"}
    assert {record["state"] for record in after.values()} == {"done"}
    for name in ("cat.png", "cat again.png"):
        follows(stack, name, "Chelsea")
    assert redis.get(keys.layout_version) == str(VERSION).encode()
    assert stack.info().pids == pids, stack.said()  # nothing has ended
    found = json.loads(stack.wildtag("find", "Chelsea", "--json").stdout.splitlines()[0])
    assert found["key"] in {"cat.png", "cat again.png"}

    status = json.loads(stack.wildtag("status", "--json").stdout)
    assert status["data_loss"]["records"] == 12
    assert status["data_loss"]["api_keys"] == 1
    shown = stack.wildtag("status").stderr
    assert "1 API keys (create them again)" in " ".join(shown.split()), shown
    with urllib.request.urlopen(f"{stack.info().addresses['gateway']}/v1/status", timeout=5) as answer:
        assert json.load(answer)["data_loss"]["api_keys"] == 1
    assert "Redis has lost all keys" in said_by(stack, "dispatcher")
    assert "orphaned" not in said_by(stack, "dispatcher")

    emptied(stack)  # once more, and while images are on their way
    drop(stack.inbox, "newer.jpg", photograph("coffee.png"))
    eventually(lambda: stack.tally()["in_flight"] > 0, 30, stack.said, every_s=0.01)
    emptied(stack)
    again = stack.settled(14, patience=120)
    assert {record["state"] for record in again.values()} == {"done"}
    follows(stack, "cat again.png", "Chelsea")
    assert stack.stop() < 10
