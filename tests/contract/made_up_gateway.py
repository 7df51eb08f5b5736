"""A gateway that speaks the contract of the real one and does nothing behind it; responses can be prepared."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]

ACCEPTED = "1970-01-01T00:00:01.000Z"
FINISHED = "1970-01-01T00:01:40.000Z"


@dataclass(frozen=True)
class Answer:
    """What a request gets; ``drop``: nothing, the connection is closed instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


def problem(status: int, name: str, detail: str = "", **headers: str) -> Answer:
    body = {"type": f"urn:wildtag:problem:{name}", "title": "No", "status": status, "detail": detail or name}
    fields = {"Content-Type": "application/problem+json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return Answer(status, json.dumps(body).encode(), fields)


def record(key: str, *labels: str, state: str = "done") -> Json:
    """A record, with fields that the client does not know."""
    tags = [{"label": label, "score": 0.5, "image_score": 0.5, "text_score": 0.5, "evidence": [0], "new": 1}
            for label in labels]  # fmt: skip
    error = None if state == "done" else {"code": "not-an-image", "reason": "no image"}
    return {"bucket": "inbox", "key": key, "etag": "e", "state": state, "tags": tags, "space_id": "s",
            "captions_version": "c@1", "evidence": [{"caption": "a cat", "similarity": 0.7}], "error": error,
            "timings_ms": {"total": 5.0}, "finished_at": FINISHED, "new": {"field": True}}  # fmt: skip


class MadeUpGateway:
    """``steps``: the states of every image, one per poll. ``prepared``: responses that come first, by path."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.stored: dict[str, bytes] = {}
        self.once: dict[str, str] = {}
        self.steps = ["queued", "embedding", "scoring", "done"]
        self.at: dict[str, int] = {}
        self.prepared: dict[str, deque[Answer]] = {}
        self.lock = threading.Lock()

    def prepare(self, path: str, *answers: Answer) -> None:
        self.prepared.setdefault(path, deque()).extend(answers)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if prepared := self.prepared.get(asked.path):
            first = prepared.popleft()
            if first.drop and asked.method == "POST":
                self._usual(asked)  # it is done, and nobody hears of it
            return first
        return self._usual(asked)

    def image(self, name: str) -> Json:
        state = self.steps[min(self.at[name], len(self.steps) - 1)]
        final = state in {"done", "failed"}
        return {"id": name, "bucket": "inbox", "key": f"uploads/{name}", "etag": "e", "state": state,
                "position": 3 if state == "queued" else None, "accepted_at": ACCEPTED, "stages": {"queued": ACCEPTED},
                "attempts": 1, "fault": None, "finished_at": FINISHED if final else None, "new": [1],
                "record": record(f"uploads/{name}", "cat", state=state) if final else None}  # fmt: skip

    def _usual(self, asked: Asked) -> Answer:  # noqa: PLR0911 -- a list of routes
        match asked.method, asked.path.split("/")[1:]:
            case "POST", ["v1", "images"]:
                return self._upload(asked)
            case "POST", ["v1", "images", name] if name.endswith(":retag"):
                before = self.image(name.removesuffix(":retag"))
                self.at[name.removesuffix(":retag")] = 0
                return _json(before, 202)
            case "GET", ["v1", "images", name]:
                return self._where(asked, name)
            case "DELETE", ["v1", "images", name]:
                return Answer(204) if self.stored.pop(name, None) else problem(404, "not-found")
            case "POST", ["v1", "captions"]:
                taught = [{"id": str(i), "caption": caption, "added": True}
                          for i, caption in enumerate(json.loads(asked.body)["captions"])]  # fmt: skip
                return _json({"captions": taught}, 201)
            case _, ["v1", "search"]:
                first = asked.query.get("cursor") is None
                images = [{"bucket": "inbox", "key": "one" if first else "two", "similarity": 0.5, "tags": ["cat"],
                           "all_tags": [{"label": "cat", "score": 0.5, "new": 1}], "new": 1}]  # fmt: skip
                return _json({"images": images, "found_by": "text", "cursor": "next" if first else None,
                              "incomplete": "1 of 2 images can be found" if first else None})  # fmt: skip
            case "GET", ["v1", "tags", label, "objects"]:
                first = asked.query.get("cursor") is None
                objects = [{"score": 0.9 if first else 0.4, "record": record("one" if first else "two", label)}]
                return _json({"label": label, "objects": objects, "cursor": "next" if first else None})
            case "GET", ["healthz"]:
                return Answer()
        return problem(404, "not-found")

    def _upload(self, asked: Asked) -> Answer:
        key = asked.headers["idempotency-key"]
        if not asked.body.startswith(b"image"):
            return problem(415, "not-an-image", "the first bytes are of no image")
        if key not in self.once:
            self.once[key] = name = f"{len(self.stored):032x}"
            self.stored[name], self.at[name] = asked.body, 0
        return _json(self.image(self.once[key]), 202)

    def _where(self, asked: Asked, name: str) -> Answer:
        if name not in self.stored:
            return problem(404, "not-found")
        if float(asked.query.get("wait", 0)) > 0:  # the next step comes soon; without If-None-Match, the last
            known = asked.headers.get("if-none-match")
            self.at[name] = self.at[name] + 1 if known else len(self.steps) - 1
        return Answer(200, json.dumps(self.image(name)).encode(), {"ETag": f'"{self.at[name]}"'})


def _json(body: Json, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    gateway: MadeUpGateway


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.gateway.lock:
            answer = self.server.gateway.answer(Asked(self.command, unquote(url.path), query, headers, body))
        if answer.drop:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.headers.get("Content-Type") == "text/event-stream":
            self.close_connection = True
        elif answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_DELETE = handle_one  # noqa: N815 -- the server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the server's name
        """Nothing is printed."""


@contextmanager
def made_up_gateway() -> Iterator[MadeUpGateway]:
    """One that listens."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.gateway = MadeUpGateway(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
