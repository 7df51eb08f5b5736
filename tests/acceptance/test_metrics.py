"""The metrics of a stack that has worked are those of the catalogue: all of them, and no others."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress

import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.eventually import eventually
from tests.exposition import differences, promtool_says, values
from workers.monitoring.catalogue import CATALOGUE

pytestmark = pytest.mark.timeout(300)

UNDER = "metrics"


def scraped(stack: Stack) -> str:
    with urllib.request.urlopen(f"{stack.info().addresses['gateway']}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def notify(stack: Stack, body: bytes) -> None:
    with (
        suppress(urllib.error.HTTPError),
        urllib.request.urlopen(f"{stack.info().addresses['gateway']}/v1/events/minio", body, timeout=10),
    ):
        pass


def finished(text: str) -> Mapping[tuple[str, ...], float]:
    """By reason and state."""
    return values(text).get("wildtag_objects_finished_total", {})


def test_a_stack_that_has_worked_shows_the_whole_catalogue_and_nothing_else(running: Stack) -> None:
    before = finished(scraped(running))
    for n in range(3):
        drop(running.inbox, f"{UNDER}/{n}.png", photograph("chelsea.png"))
    notify(running, b'{"EventName": "s3:BucketCreated"}')  # which is counted, and ignored or rejected
    drop(running.inbox, f"{UNDER}/cut off.png", photograph("chelsea.png")[:3000])
    records = running.settled(4, under=f"{UNDER}/")
    assert sorted(record["state"] for record in records.values()) == ["done", "done", "done", "failed"]
    expected = [one for one in CATALOGUE if not one.occasional]

    def faults() -> list[str]:
        return differences(scraped(running), expected)

    eventually(lambda: not faults(), 30, lambda: "\n".join(faults()))
    text = scraped(running)
    assert promtool_says(text) == ""

    after = finished(text)
    assert after["", "done"] >= before.get(("", "done"), 0) + 3
    assert sum(after.values()) >= sum(before.values()) + 4
    assert any(state == "failed" and reason not in {"", "other"} for reason, state in after)
    found = values(text)
    objects = found["wildtag_objects_accepted_total"][()]
    withdrawn = sum(found.get("wildtag_objects_withdrawn_total", {}).values())
    assert objects == sum(after.values()) + withdrawn + found["wildtag_ledger_objects"][()]
    stages = {stage for (stage,) in found["wildtag_stage_duration_seconds_count"]}
    assert {"embedding", "retrieval", "extraction", "scoring"} <= stages
    in_stages = sum(found["wildtag_stage_duration_seconds_sum"].values())
    assert found["wildtag_object_duration_seconds_sum"][()] <= in_stages + 1
