"""A real stack that logs JSON and sends traces: one id leads from a request to the record, and no secret is shown.

The tests share a stack, in their order: the last ones take services away from it.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageOps

from ops.bench.moto_server import moto
from tests.acceptance.images import photograph
from tests.acceptance.stack import Stack, started
from tests.contract.collector import Collector, collecting
from tests.contract.receiver import Receiver, Reply, receiving
from tests.contract.s3_server import store_at
from tests.eventually import eventually
from workers.telemetry.parsing import parsed
from workers.telemetry.redaction import spellings

pytestmark = [pytest.mark.timeout(300), pytest.mark.long, pytest.mark.xdist_group("logs and traces")]

SEED = "SeededValue-9c2e"
# with characters that are spelt in many ways
SEEDED = {
    "WILDTAG_S3_SECRET_KEY": f"{SEED}/s3+secret", "WILDTAG_S3_ADMIN_SECRET_KEY": f"{SEED}-rootsecret",
    "WILDTAG_WEBHOOK_TOKEN": f"{SEED}-token", "WILDTAG_ADMIN_KEY": f"{SEED}-adminkey",
    "WILDTAG_NOTIFY_SECRET": f"whsec_{base64.b64encode(f'{SEED}-signing-secret-of-webhooks'.encode()).decode()}",
    "WILDTAG_API_KEY": f"{SEED}-api", "WILDTAG_FLOWER_AUTH": f"me:{SEED}-flower",
}  # fmt: skip
TRACE, SPAN = "0af7" * 8, "b7ad" * 4
STAGES = ("embedding", "retrieval", "extraction", "scoring")


def jpeg(seed: int = 0) -> bytes:
    """A small photograph, with a border that makes it another one."""
    with Image.open(io.BytesIO(photograph("chelsea.png"))) as image:
        out = io.BytesIO()
        ImageOps.expand(image.convert("RGB").resize((320, 240)), border=seed + 1).save(out, "JPEG")
    return out.getvalue()


@dataclass
class World:
    stack: Stack
    http: httpx.Client
    receiver: Receiver
    collector: Collector
    store: ExitStack

    def lines(self) -> list[tuple[str, dict[str, Any]]]:
        """What each process has logged; fails for a line that is no JSON object."""
        found = []
        for log in sorted((self.stack.home / "logs").glob("*.log")):
            for line in log.read_text().splitlines():
                fields = json.loads(line)
                assert isinstance(fields, dict), line
                found.append((log.stem, fields))
        return found


@pytest.fixture(scope="module")
def world(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("logs") / "home"
    with ExitStack() as store, receiving() as receiver, collecting() as collector:
        endpoint = store.enter_context(moto())
        store_at(endpoint).connection.client.make_bucket("inbox")
        chosen = {
            **SEEDED, "WILDTAG_S3_ENDPOINT": endpoint, "WILDTAG_S3_ACCESS_KEY": "someone", "WILDTAG_LISTEN": "true",
            "WILDTAG_NOTIFY_URL": f"{receiver.url}?key={SEED}-receiver", "WILDTAG_OUTGOING_ALLOW": "127.0.0.1",
            "WILDTAG_KEY_REQUIRED": "true", "WILDTAG_LOG_FORMAT": "json", "WILDTAG_LOG_LEVEL": "debug",
            "WILDTAG_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{SEED}-collector",
            "OTEL_BSP_SCHEDULE_DELAY": "200", "NO_PROXY": "*",
        }  # fmt: skip
        with started(prepared, home, None, **chosen) as stack:
            headers = {"Authorization": f"Bearer {SEED}-adminkey"}
            with httpx.Client(base_url=stack.info().addresses["gateway"], headers=headers, timeout=60) as http:
                yield World(stack, http, receiver, collector, store)


@pytest.fixture(scope="module")
def uploaded(world: World) -> str:
    """The id of an object that was uploaded with the ids of a request and of a trace."""
    headers = {"X-Request-Id": "from-the-proxy-1", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    answer = world.http.post("/v1/images?wait=60", content=jpeg(), headers={**headers, "Content-Type": "image/jpeg"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Request-Id"] == "from-the-proxy-1"
    record = answer.json()
    assert record["state"] == "done"
    return f"{record['bucket']}/{record['key']}"


def test_one_id_leads_from_the_request_to_the_record(world: World, uploaded: str) -> None:
    def seen() -> list[tuple[str, str]]:
        return [
            (process, fields["event"]) for process, fields in world.lines()
            if fields.get("request") == "from-the-proxy-1" or "from-the-proxy-1" in fields.get("requests", ())
        ]  # fmt: skip

    wanted = {("gateway", "image accepted"), ("gateway", "request"), ("dispatcher", "object dispatched"),
              *((f"worker-{stage}", "message processed") for stage in STAGES),
              ("worker-scoring", "record written")}  # fmt: skip
    eventually(lambda: wanted <= set(seen()), 20, lambda: str(seen()))
    shown = world.stack.wildtag("logs", "--request", "from-the-proxy-1").stdout
    lines = [parsed(line.partition(" | ")[2]) for line in shown.splitlines()]
    assert {line["event"] for line in lines} >= {event for _, event in wanted}
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    assert uploaded in {line.get("object") for line in lines}
    by_object = world.stack.wildtag("logs", "--object", uploaded).stdout
    assert "image accepted" in by_object
    assert "record written" in by_object
    for _, fields in world.lines():
        if fields["event"] == "message processed":
            assert fields["task"]
            assert fields["objects"] >= 1


def linked(world: World, stage: str, own: set[str]) -> bool:
    """Whether a message of a stage is linked to one of these spans."""
    batches = [span for span in world.collector.spans if span.name == f"{stage} batch"]
    return any(own & set(span.links) for span in batches)


def test_one_trace_leads_from_the_event_to_the_record(world: World, uploaded: str) -> None:
    wanted = {"accept", "dispatch", *STAGES, "record"}
    eventually(lambda: {span.name for span in world.collector.of(uploaded)} >= wanted, 20,
               lambda: str(world.collector.of(uploaded)))  # fmt: skip
    spans = [span for span in world.collector.of(uploaded) if span.trace == TRACE]
    assert {span.name for span in spans} == wanted
    (accept,) = [span for span in spans if span.name == "accept"]
    assert accept.parent == SPAN
    assert {span.parent for span in spans if span is not accept} == {accept.id}
    processes = {span.name: span.process for span in spans}
    assert (processes["accept"], processes["dispatch"]) == ("gateway", "dispatcher")
    for stage in STAGES:
        assert processes[stage] == f"worker-{stage}"
        own = {span.id for span in spans if span.name == stage}
        eventually(partial(linked, world, stage, own), 20)
    assert {headers["authorization"] for headers in world.collector.headers} == {f"Bearer {SEED}-collector"}


def test_an_object_without_a_request_has_a_trace_of_its_own(world: World) -> None:
    endpoint = world.stack.environment["WILDTAG_S3_ENDPOINT"]
    store_at(endpoint).put("inbox", "direct.jpg", io.BytesIO(jpeg(seed=7)), "image/jpeg")
    event = {"EventName": "s3:ObjectCreated:Put", "Key": "inbox/direct.jpg",
             "Records": [{"eventName": "s3:ObjectCreated:Put",
                          "s3": {"bucket": {"name": "inbox"}, "object": {"key": "direct.jpg"}}}]}  # fmt: skip
    answer = world.http.post(
        "/v1/events/minio", json=event, headers={"Authorization": f"Bearer {SEEDED['WILDTAG_WEBHOOK_TOKEN']}"}
    )
    assert answer.status_code == 200, answer.text
    wanted = {"accept", "dispatch", *STAGES, "record"}
    eventually(lambda: {span.name for span in world.collector.of("inbox/direct.jpg")} >= wanted, 30,
               lambda: str(world.collector.of("inbox/direct.jpg")))  # fmt: skip
    spans = world.collector.of("inbox/direct.jpg")
    assert len({span.trace for span in spans}) == 1
    assert spans[0].trace != TRACE
    assert {span.name for span in spans} == wanted


def test_problems_and_the_access_log_name_the_request(world: World) -> None:
    answer = world.http.get("/v1/images/none.jpg", headers={"X-Request-Id": "not valid"})
    made = answer.headers["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert answer.json()["request_id"] == made
    (line,) = eventually(lambda: [
        fields for _, fields in world.lines() if fields["event"] == "request" and fields["request"] == made
    ], 10)  # fmt: skip
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/images/none.jpg", 404)
    assert line["route"] == "/v1/images/{id}"
    assert (line["client"], line["key"], line["bytes_out"]) == ("127.0.0.1", "admin", len(answer.content))
    world.http.get("/healthz")
    assert [fields["level"] for _, fields in world.lines() if fields.get("path") == "/healthz"][-1:] == ["debug"]


def test_an_absent_collector_holds_nothing_up(world: World) -> None:
    world.collector.status = 503
    began = time.monotonic()
    for seed in range(3):
        answer = world.http.post(
            "/v1/images?wait=60", content=jpeg(seed=20 + seed), headers={"Content-Type": "image/jpeg"}
        )
        assert answer.json()["state"] == "done"
    assert time.monotonic() - began < 20
    eventually(lambda: [
        fields for _, fields in world.lines() if str(fields.get("logger", "")).startswith("opentelemetry")
    ], 30)  # fmt: skip
    warned = [
        process for process, fields in world.lines() if str(fields.get("logger", "")).startswith("opentelemetry")
    ]
    pids = {(process, fields.get("pid")) for process, fields in world.lines()}
    assert len(warned) <= len(pids), "one a minute and process"


def test_no_secret_is_logged_whatever_happens(world: World) -> None:
    http, stack = world.http, world.stack
    base = str(http.base_url)
    redis_url = stack.info().addresses["redis"]
    password = redis_url.split(":")[2].partition("@")[0]
    given = http.post("/v1/uploads", json={"content_type": "image/jpeg"}).json()
    made = stack.wildtag("keys", "create", "someone", "--scope", "write").stdout
    key = re.search(r"wt_\w+", made)
    assert key
    own = {SEED, password, key[0].rpartition("_")[2]}
    own |= {value for name, value in (given.get("fields") or {}).items() if "signature" in name.lower()}
    own |= {given["url"].rpartition("/")[2]} if "/v1/uploads/" in given["url"] else set()
    world.receiver.answer = lambda _: Reply(500)
    # wrong and right credentials, in headers, cookies, bodies and addresses
    with httpx.Client(base_url=base, timeout=30) as stranger:
        for one in (f"{SEED}-wrong", key[0], f"wt_0123456789ab_{SEED}"):
            stranger.get("/v1/images", headers={"Authorization": f"Bearer {one}"})
            stranger.get("/v1/images", headers={"Authorization": f"Basic {one}"})
            stranger.get(f"/v1/images?token={one}&X-Amz-Signature={one}")
            stranger.get("/v1/images", headers={"Cookie": f"wildtag_session={one}"})
            signed = stranger.post("/v1/session", json={"key": one}, headers={"Origin": base})
            own |= {str(value) for value in signed.cookies.values()}
            stranger.post(f"/v1/uploads/{SEED}-slot", content=b"x")
            stranger.post("/v1/events/minio", content=b"{", headers={"Authorization": f"Bearer {one}"})
        stranger.get("/v1/status")
    flower = stack.info().addresses["flower"]
    httpx.get(f"{flower}/workers", auth=("me", f"{SEED}-wrong"))
    httpx.get(f"{flower}/workers", auth=("me", f"{SEED}-flower"))
    # outages: of the store, of Redis, of the receiver and of the collector
    world.store.close()
    http.post("/v1/images", content=jpeg(seed=30), headers={"Content-Type": "image/jpeg"})
    redis = stack.process("redis")
    os.kill(redis, signal.SIGSTOP)
    try:
        eventually(lambda: http.get("/readyz").status_code == 503, 60)
    finally:
        os.kill(redis, signal.SIGCONT)
    eventually(stack.outages, 60, despite=(Exception,))
    os.kill(redis, signal.SIGKILL)
    eventually(lambda: stack.info().pids.get("redis", redis) != redis, 60)
    eventually(lambda: http.get("/v1/status").status_code == 200, 60)
    status = stack.wildtag("status", "--json", check=False)
    doctor = stack.wildtag("doctor", check=False)
    said = {"status": status.stdout + status.stderr, "doctor": doctor.stdout + doctor.stderr}
    said |= {log.name: log.read_text() for log in (stack.home / "logs").iterdir()}
    said["up.log"] = (stack.home / "up.log").read_text()
    forms = {form for one in own for form in spellings(one)}
    assert len(forms) > len(own)
    for name, text in said.items():
        shown = [line for line in text.splitlines() if any(form in line for form in forms)]
        assert not shown, (name, shown[:3])
    events = {fields["event"] for _, fields in world.lines()}
    assert {"service unavailable", "service available again", "request"} <= events, events
    assert not any("JFIF" in text or "Exif" in text for text in said.values()), "the content of an image"
