"""The gateway's application on a port, in a thread of the test's process, and what a test does around it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from tasks.message_parts import ObjectRef, Revision, Tag
from tests.acceptance.images import one_pixel
from tests.eventually import eventually
from workers.gateway.app import create_app
from workers.gateway.services import Options, Services
from workers.gateway.serving import SERVER, Server
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.record import Error, Record
from workers.redis.connection import connect
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.wiring.gateway import options, services
from workers.wiring.wiring import Wiring

REVISION = Revision("space", "captions@1")
PIXEL = one_pixel()
Json = dict[str, Any]


def png(of: str = "", size: int = 0) -> bytes:
    """An image of its own, of at least ``size`` bytes."""
    return (PIXEL + of.encode()).ljust(size, b"\0")


def problem(answer: httpx.Response) -> str:
    """The name of a problem; that it is a whole problem document is asserted."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == answer.status_code
    return str(body["type"]).removeprefix("urn:wildtag:problem:")


@dataclass
class Running:
    """A gateway that listens."""

    port: int
    app: FastAPI
    wiring: Wiring
    options: Options
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def http(self) -> httpx.Client:
        """A client, the same each time."""
        if not self.clients:
            self.clients.append(httpx.Client(base_url=self.url, timeout=30))
        return self.clients[0]

    @property
    def folder(self) -> Path:
        """The bucket."""
        return self.wiring.settings.inbox_folder

    def signed_in(self, key: str) -> str:
        """The Cookie header of the page after signing in."""
        answer = httpx.post(f"{self.url}/v1/session", json={"key": key})
        assert answer.status_code == 204, answer.text
        (cookie,) = [f"{name}={value}" for name, value in answer.cookies.items()]
        return cookie

    def upload(self, image: bytes | None = None, **params: object) -> Json:
        """Upload an image of its own; gives the answer's body."""
        answer = self.http.post("/v1/images", content=image or png(str(time.monotonic_ns())), params=params)  # type: ignore[arg-type]  # numbers and texts
        assert answer.is_success, answer.text
        body: Json = answer.json()
        return body

    def stored(self) -> list[Path]:
        """All files of uploads, temporary ones too."""
        return [path for path in (self.folder / "uploads").glob("*") if path.is_file()]

    def raw(self, request: bytes, *, patience: float = 10) -> bytes:
        """Send bytes as they are; gives all that comes back until the gateway closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            connection.sendall(request)
            return received(connection)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Json]:
        """GET an address that no client has normalised."""
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        host = "" if headers and "Host" in headers else f"Host: 127.0.0.1:{self.port}\r\n"
        answer = self.raw(f"GET {path} HTTP/1.1\r\n{host}{more}Connection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return status_of(head), json.loads(body) if body else {}

    def put(self, key: str, data: bytes = PIXEL) -> ObjectRef:
        """An object in the bucket."""
        return self.wiring.store.put(self.wiring.settings.bucket, key, io.BytesIO(data)).ref

    def keys_of(self, oid: str) -> Keys:
        """The keys among which those of an object are."""
        return self.wiring.partitions.keys(self.wiring.partitions.of(oid))

    def segmentation_request(self, oid: str) -> str | None:
        """How somebody wants an object segmented."""
        method = self.wiring.redis.get(self.keys_of(oid).segmentation_request(oid))
        return method.decode() if isinstance(method, bytes) else None

    def enter(self, ref: ObjectRef, *, force: bool = False, segment: str = "") -> None:
        """Accept an object, as the dispatcher does."""
        now = time.time()
        arrival = Arrival(ref, verified=True, force=force, rule=segment, from_queue=True)
        (entered,) = self.wiring.ledger.enter([arrival], REVISION, now, now + 60)
        assert entered in {"entered", "known", "again"}

    def advance(self, ref: ObjectRef, stage: str) -> None:
        """Have a stage begin with an object."""
        now = time.time()
        self.wiring.ledger.advance([ref], REVISION, stage, now + 60, now=now, begin=True)

    def finish(self, ref: ObjectRef, *labels: str, error: str | None = None, **more: Any) -> Record:
        """Write a record of an accepted object, as the last stage does."""
        now = time.time()
        tags = tuple(Tag(label, 0.9 - n / 10, 0.8, 0.7, (0,)) for n, label in enumerate(labels))
        record = Record(
            bucket=ref.bucket, key=ref.key, etag=ref.etag, state="failed" if error else "done", tags=tags,
            space_id=REVISION.space_id, captions_version=REVISION.captions_version, finished_at=now,
            error=Error(error, "made up") if error else None, **more,
        )  # fmt: skip
        assert self.wiring.ledger.finish([record], now) == [True]
        return record

    def tagged(self, key: str, *labels: str, error: str | None = None, **more: Any) -> ObjectRef:
        """An object of the bucket with a record."""
        ref = self.put(key)
        self.enter(ref)
        self.finish(ref, *labels, error=error, **more)
        return ref


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    """The status of an answer's bytes."""
    return int(answer.split(b" ", 2)[1])


@contextmanager
def running(
    wiring: Wiring, *, server: Mapping[str, Any] | None = None, replaced: Mapping[str, Any] | None = None,
    **chosen: Any,
) -> Iterator[Running]:  # fmt: skip
    """A gateway over this wiring. ``replaced``: services; ``chosen``: options; ``server``: how it is served."""
    made: Services = replace(services(wiring), **(replaced or {}))
    pipeline_options = replace(options(wiring), **chosen)
    app = create_app(made, pipeline_options)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, **{**SERVER, "timeout_graceful_shutdown": 1, **(server or {})})
    http = Server(config, app.state.closing)
    thread = threading.Thread(target=lambda: asyncio.run(http.serve([listening])), daemon=True)
    thread.start()
    gateway = Running(listening.getsockname()[1], app, wiring, pipeline_options)
    eventually(lambda: http.started or not thread.is_alive())
    assert http.started
    try:
        yield gateway
    finally:
        for client in gateway.clients:
            client.close()
        http.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive()


def wired(folder: Path, redis_url: str, kind: type[Wiring] = Wiring, **settings: Any) -> Wiring:
    """A wiring over a folder. Without other settings, rates are not limited: tests are faster than people."""
    (folder / "inbox").mkdir(exist_ok=True)
    limits = {"request_rate": 0, "expensive_rate": 0, "guesses_per_minute": 0}
    return kind(Settings(home=folder, redis_url=redis_url, **{"key_prefix": "test:", **limits, **settings}))


def emptied(gateway: Running) -> None:
    """Nothing in Redis, nothing in the bucket."""
    connect(gateway.wiring.settings.redis_url).flushall()
    shutil.rmtree(gateway.folder)
    gateway.folder.mkdir()


def digest(data: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(data).hexdigest()


@dataclass
class Event:
    """A server-sent event."""

    name: str
    data: Json
    id: str | None = None


def events(answer: httpx.Response) -> Iterator[Event]:
    """The events of a stream as they come."""
    name, data, number = "message", "", None
    for line in answer.iter_lines():
        kind, _, value = line.partition(": ")
        if not line and data:
            yield Event(name, json.loads(data), number)
            name, data, number = "message", "", None
        elif kind == "event":
            name = value
        elif kind == "data":
            data += value
        elif kind == "id":
            number = value
