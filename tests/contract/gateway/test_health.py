"""What is away is named in the state, the readiness and the metrics, with how long and how many images wait."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio.to_thread
from fastapi import Response

from tasks.model_description import Description
from tests.contract.gateway.running import Running
from tests.eventually import eventually
from workers.gateway.health import Together
from workers.lifecycle.times import rfc3339, unix_seconds
from workers.outages.board import Outage, OutageBoard
from workers.redis.models_in_use import ModelBoard


def board(gateway: Running) -> OutageBoard:
    """That of another process, which lives on the gateway's Redis."""
    return OutageBoard(gateway.wiring.redis, gateway.wiring.keys, "elsewhere-1", time.time)


def test_what_another_process_cannot_reach_is_told(gateway: Running) -> None:
    assert gateway.http.get("/v1/status").json()["outages"] == []
    gateway.enter(gateway.put("a.png"))
    since = time.time() - 90
    notes = board(gateway)
    notes.write([
        Outage(name="captions", reason="no answer from Qdrant", since=since),
        Outage(name="listener", reason="deaf", since=since, waiting=None),
    ])  # fmt: skip
    captions, listener = gateway.http.get("/v1/status").json()["outages"]
    assert (captions["name"], captions["reason"], captions["waiting"]) == ("captions", "no answer from Qdrant", 1)
    assert captions["since"] == rfc3339(since)
    assert 89 < captions["seconds"] < 120
    assert (listener["name"], listener["waiting"]) == ("listener", None)
    ready = gateway.http.get("/readyz")  # images are taken in meanwhile
    assert (ready.status_code, ready.json()["ready"], ready.json()["missing"]) == (200, True, {})
    assert [one["name"] for one in ready.json()["outages"]] == ["captions", "listener"]
    metrics = gateway.http.get("/metrics").text
    assert 'wildtag_outage_waiting_objects{name="captions"} 1.0' in metrics
    assert 'wildtag_outage_seconds{name="listener"}' in metrics
    gateway.upload()
    notes.write([])
    assert gateway.http.get("/v1/status").json()["outages"] == []
    assert "wildtag_outage_seconds{" not in gateway.http.get("/metrics").text


def test_the_models_in_use_are_told(gateway: Running) -> None:
    assert gateway.http.get("/v1/status").json()["models"] == []
    elsewhere = ModelBoard(gateway.wiring.redis, gateway.wiring.keys, "elsewhere-1", time.time)
    elsewhere.write(
        "embedding", "image encoder", Description("cuda:1", "PyTorch", "bfloat16", 64, hardware="Made-up")
    )
    (model,) = gateway.http.get("/v1/status").json()["models"]
    at = model.pop("at")
    assert model == {
        "queue": "embedding", "model": "image encoder", "process": "elsewhere-1", "device": "cuda:1",
        "runtime": "PyTorch", "dtype": "bfloat16", "batch": 64, "hardware": "Made-up", "reason": "",
    }  # fmt: skip
    assert abs(time.time() - unix_seconds(at)) < 60
    metrics = gateway.http.get("/metrics").text
    labels = 'device="cuda:1",dtype="bfloat16",model="image encoder",process="elsewhere-1",queue="embedding"'
    assert f'wildtag_model_batch{{{labels},runtime="PyTorch"}} 64.0' in metrics


def test_a_store_that_is_away_is_named_and_found_again(gateway: Running) -> None:
    away = gateway.folder.with_name("away")
    gateway.folder.rename(away)
    try:
        ready = gateway.http.get("/readyz")
        assert (ready.status_code, list(ready.json()["missing"])) == (503, ["store"])
        assert [one["name"] for one in ready.json()["outages"]] == ["store"]
        (outage,) = gateway.http.get("/v1/status").json()["outages"]
        assert outage["name"] == "store"
    finally:
        away.rename(gateway.folder)
    eventually(lambda: gateway.http.get("/readyz").status_code == 200, 2.5)
    assert gateway.http.get("/v1/status").json()["outages"] == []


def test_many_who_ask_at_once_whether_it_is_ready_cost_one_look() -> None:
    looks, begun, go = [], threading.Event(), threading.Event()

    async def make() -> Response:
        looks.append(1)
        begun.set()
        await anyio.to_thread.run_sync(go.wait)
        return Response("seen", 503, {"Retry-After": "1"})

    async def ask() -> list[Response]:
        together = Together(make)
        asking = [asyncio.create_task(together()) for _ in range(50)]
        await anyio.to_thread.run_sync(begun.wait)
        asking.pop().cancel()  # somebody who does not wait leaves the others theirs
        go.set()
        found = await asyncio.gather(*asking)
        return [*found, await together()]

    answers = asyncio.run(ask())
    assert len(looks) == 2
    assert {(one.status_code, one.body, one.headers["Retry-After"]) for one in answers} == {(503, b"seen", "1")}
