"""The metrics of the system at the gateway: all of the catalogue, cheap, and in part if something is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tasks.message_parts import ObjectRef, Revision, Tag
from tests.contract.gateway.running import Running, running, wired
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from tests.exposition import differences, promtool_says, values
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.record import Error, Record
from workers.monitoring.catalogue import CATALOGUE
from workers.redis.connection import connect

PARTITIONS = [1, 4]
REVISION = Revision("space", "captions@1")
OF_WORKERS = {"wildtag_captions", "wildtag_images_indexed"}  # which no worker tells here


def refs(number: int) -> list[ObjectRef]:
    return [ObjectRef("inbox", f"{n}.jpg", "a") for n in range(number)]


def record(of: ObjectRef, code: str = "") -> Record:
    return Record(
        bucket=of.bucket, key=of.key, etag=of.etag, state="dead" if code else "done", space_id="space",
        captions_version="captions@1", tags=() if code else (Tag("cat", 0.5, 0.5, 0.5),),
        error=Error(code, "why") if code else None,
    )  # fmt: skip


def worked(gateway: Running, number: int = 20) -> None:
    """Some objects are finished, one of them dead, some are put off, and others are on their way."""
    wiring, now, many = gateway.wiring, gateway.wiring.clock(), refs(number)
    wiring.ledger.enter([Arrival(one) for one in many], REVISION, now - 100, now + 500)
    wiring.ledger.advance(many[: number // 2], REVISION, "embedding", now + 500, now=now - 95)
    wiring.ledger.put_on("retrieval", many[: number // 2], REVISION, now - 90)
    wiring.ledger.postpone(many[:2], REVISION, now + 500, "the store is away", now=now - 80)
    wiring.ledger.finish([record(many[2], "poisonous"), record(many[3])], now - 60)
    wiring.inbox.append([ObjectEvent("created", "inbox", "new.jpg")])
    wiring.low_priority_inbox.append([ObjectEvent("created", "inbox", "old.jpg", force=True)])
    wiring.sources.note("listen", "deaf", "the server sends nothing")
    wiring.sources.note("sweep", "working")
    wiring.health.beat("embedding")


def scraped(gateway: Running) -> str:
    answer = gateway.http.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def test_all_metrics_of_the_system_are_there_and_no_others(gateway: Running) -> None:
    worked(gateway)
    gateway.http.get("/healthz")
    text = scraped(gateway)
    expected = [
        one for one in CATALOGUE
        if one.source != "process" and not one.occasional and one.name not in OF_WORKERS | {"wildtag_model_batch",
        "wildtag_events_received"}
    ]  # fmt: skip
    assert differences(text, expected) == []
    assert promtool_says(text) == ""

    found = values(text)
    assert found["wildtag_objects_accepted_total"] == {(): 20}
    finished = found["wildtag_objects_finished_total"]
    assert {of: n for of, n in finished.items() if n} == {("", "done"): 1, ("poisonous", "dead"): 1}
    # of what never happened, so that Prometheus sees the first burst of it
    assert {("gave-up", "dead"), ("not-an-image", "failed"), ("other", "failed")} < set(finished)
    assert found["wildtag_object_duration_seconds_count"] == {(): 2}
    assert found["wildtag_object_duration_seconds_bucket"][("30.0",)] == 0
    assert found["wildtag_object_duration_seconds_bucket"][("60.0",)] == 2
    assert found["wildtag_stage_duration_seconds_sum"][("embedding",)] == pytest.approx(100, abs=0.01)
    assert found["wildtag_stage_attempts_total"][("embedding",)] == 10
    assert found["wildtag_postponements_total"][("retrieval",)] == 2
    assert found["wildtag_ledger_objects"] == {(): 18}
    assert found["wildtag_ledger_oldest_seconds"][()] == pytest.approx(100, abs=20)
    objects = {name: number for (name,), number in found["wildtag_queue_objects"].items() if number}
    assert objects == {"embedding": 10, "retrieval": 6, "waiting": 2}
    assert found["wildtag_queue_oldest_seconds"][("retrieval",)] == pytest.approx(90, abs=20)
    assert found["wildtag_queue_oldest_seconds"][("scoring",)] == 0
    assert found["wildtag_inbox_events"] == {("normal",): 1, ("low",): 1}
    assert found["wildtag_inbox_oldest_seconds"][("normal",)] < 20
    assert found["wildtag_event_source_works"] == {("listen",): 0, ("sweep",): 1}
    assert found["wildtag_event_source_lag_seconds"][("sweep",)] == 0
    assert found["wildtag_redis_up"] == {(): 1}
    (memory,) = found["wildtag_redis_memory_bytes"].values()
    assert memory > 100_000
    assert set(found["wildtag_disk_free_bytes"]) == {("home",), ("temporary",), ("uploads",)}
    readable = {name for (name,), there in found["wildtag_metrics_readable"].items() if not there}
    assert readable <= {"images", "captions"}


def test_what_a_scrape_costs_does_not_depend_on_the_number_of_objects(gateway: Running) -> None:
    client = connect(gateway.wiring.settings.redis_url)
    worked(gateway)
    scraped(gateway)  # afterwards scripts are known
    calls = []
    for number in (20, 2000):
        worked(gateway, number)
        before = client.info("commandstats")
        scraped(gateway)
        after = client.info("commandstats")
        made = {name: of["calls"] - before.get(name, {"calls": 0})["calls"] for name, of in after.items()}
        calls.append(sum(made.values()))
        assert not {"cmdstat_keys", "cmdstat_scan"} & {name for name, n in made.items() if n}
    assert calls[1] < calls[0] + 60, calls  # the gateway's own looks are among them


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    redis = OwnRedis()
    redis.start()
    yield redis
    redis.close()


def test_without_redis_the_rest_is_served_at_once(own_redis: OwnRedis, tmp_path: Path) -> None:
    with running(wired(tmp_path, own_redis.url)) as gateway:
        worked(gateway)
        assert values(scraped(gateway))["wildtag_objects_accepted_total"] == {(): 20}
        own_redis.kill()
        begin = time.monotonic()
        text = scraped(gateway)
        assert time.monotonic() - begin < 8
        found = values(text)
        assert found["wildtag_redis_up"] == {(): 0}
        assert found["wildtag_outage_seconds"][("redis",)] >= 0
        assert found["wildtag_disk_free_bytes"][("home",)] > 0
        assert found["wildtag_http_requests_total"]
        assert found["wildtag_metrics_readable"][("ledger",)] == 0
        assert found["wildtag_metrics_readable"][("disk",)] == 1
        assert "wildtag_objects_accepted_total" not in found  # not 0, which would look like a loss
        assert differences(text, []) == []
        own_redis.start()
        eventually(lambda: values(scraped(gateway))["wildtag_redis_up"] == {(): 1}, 20)
        assert values(scraped(gateway))["wildtag_objects_accepted_total"] == {(): 20}


def test_a_redis_that_only_answers_reads_is_away(own_redis: OwnRedis, tmp_path: Path) -> None:
    with running(wired(tmp_path, own_redis.url)) as gateway:
        assert values(scraped(gateway))["wildtag_redis_up"] == {(): 1}
        client = connect(own_redis.url)
        client.config_set("min-replicas-to-write", 1)
        assert values(scraped(gateway))["wildtag_redis_up"] == {(): 0}
        client.config_set("min-replicas-to-write", 0)
        eventually(lambda: values(scraped(gateway))["wildtag_redis_up"] == {(): 1}, 20)


def test_a_part_that_cannot_be_read_is_named_and_the_others_are_there(gateway: Running) -> None:
    worked(gateway)
    keys, client = gateway.wiring.keys, connect(gateway.wiring.settings.redis_url)
    client.hset(keys.sources, "listen", b"{}")  # no condition
    text = scraped(gateway)
    found = values(text)
    assert found["wildtag_metrics_readable"][("events",)] == 0
    assert "wildtag_event_source_works" not in found
    assert found["wildtag_ledger_objects"] == {(): 18}


def test_a_bug_counts_as_a_request_that_failed(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    def failed() -> float:
        requests = values(scraped(gateway)).get("wildtag_http_requests_total", {})
        return requests.get(("GET", "/v1/objects/{bucket}/{key:path}", "500"), 0)

    monkeypatch.setattr("workers.gateway.images.Images.look", bug)
    before = failed()
    with capture_logs():  # a traceback that is shown takes seconds
        # not on the connection of the other requests, since the server closes it
        assert httpx.get(f"{gateway.http.base_url}/v1/objects/inbox/a.png").status_code == 500
    assert failed() == before + 1
