"""A made-up Qdrant cluster: several addresses over one set of data, whose nodes go away and come back.

The data are in qdrant-client's own database. Each node speaks REST as the requests of a Qdrant 1.18 node look on the
wire, and may be in a mood: it refuses connections (as after ``kill -9``), swallows what it is sent (SIGSTOP, or a
network that drops packets), answers 503 (behind a proxy, or with too many shards away), breaks off after it has done
what it was asked, or is not ready: it answers, and ``/readyz`` is 503 while it catches up with the others.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import BaseModel, TypeAdapter
from qdrant_client import QdrantClient, models

from tests.contract.qdrant_wire import collection

Do = Callable[[QdrantClient, str, Any], object]


class Mood(Enum):
    FINE = "fine"
    REFUSES = "refuses connections"
    SWALLOWS = "swallows requests"
    FAILS = "answers 503"
    BREAKS_OFF = "does what it is asked and breaks off"
    UNREADY = "has not caught up"
    FORGETS = "forgets"  # says that it is ready, and lacks a collection that the others have


class MadeUpNode:
    """One address. ``calls``: method and path of what it was asked, ``/readyz`` not counted."""

    def __init__(self, data: QdrantClient, lock: threading.Lock) -> None:
        self.calls: list[tuple[str, str]] = []
        self.lacks: set[str] = set()
        """Collections that it has not heard of while it is not ready."""
        self._data = data
        self._lock = lock
        self._changed = threading.Condition()
        self._mood = Mood.FINE
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def mood(self) -> Mood:
        return self._mood

    @mood.setter
    def mood(self, mood: Mood) -> None:
        before = self._mood
        with self._changed:
            self._mood = mood
            self._changed.notify_all()
        if mood is Mood.REFUSES and self._server is not None:
            self._stop()
        elif before is Mood.REFUSES and mood is not Mood.REFUSES:
            self._start()

    def close(self) -> None:
        self.mood = Mood.REFUSES

    def answer(self, method: str, path: str, body: Any) -> tuple[int, object]:
        """Status and result."""
        if path == "/readyz":
            return (503 if self._mood in {Mood.UNREADY, Mood.FAILS} else 200), None
        self.calls.append((method, path))
        if self._mood is Mood.FAILS:
            return 503, "Service is unavailable"
        if self._mood in {Mood.UNREADY, Mood.FORGETS} and any(f"/{name}" in path for name in self.lacks):
            return 404, "Not found: Collection doesn't exist!"
        with self._lock:
            return _done(self._data, method, path, body)

    def swallowed(self) -> bool:
        """Waits while this node swallows requests; whether it has, and the connection is to be dropped."""
        with self._changed:
            if self._mood is not Mood.SWALLOWS:
                return self._mood is Mood.REFUSES
            self._changed.wait_for(lambda: self._mood is not Mood.SWALLOWS)
        return True

    def _start(self) -> None:
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                sent = self.rfile.read(int(self.headers.get("content-length") or 0))
                if node.swallowed():
                    self.close_connection = True
                    return
                path = self.path.partition("?")[0]
                status, result = node.answer(self.command, path, json.loads(sent) if sent else None)
                if node.mood is Mood.BREAKS_OFF and path != "/readyz":
                    self.close_connection = True
                    return
                payload = {"result": result, "status": "ok"} if status == 200 else {"status": {"error": result}}
                answer = json.dumps({**payload, "time": 0.0}).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 -- the library's names

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def cluster(nodes: int = 3) -> Iterator[list[MadeUpNode]]:
    """That many nodes over one set of data."""
    data, lock = QdrantClient(":memory:"), threading.Lock()
    there = [MadeUpNode(data, lock) for _ in range(nodes)]
    yield there
    for node in there:
        node.close()
    data.close()


def addresses(nodes: list[MadeUpNode]) -> str:
    return ",".join(node.url for node in nodes)


def _done(data: QdrantClient, method: str, path: str, body: Any) -> tuple[int, object]:
    parts = path.strip("/").split("/")
    name, rest = (parts[1] if len(parts) > 1 else ""), "/".join(parts[2:])
    do = _DOING.get((method, parts[0] if not name else rest or "."))
    if do is None:
        return 501, f"this made-up node knows no {method} {path}"
    try:
        return 200, _json(do(data, name, body))
    except ValueError as exc:
        text = str(exc)
        if "not found" in text:
            return 404, f"Not found: {text}"
        return (409 if "already exists" in text else 400), f"Wrong input: {text}"


def _json(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return [_json(one) for one in value] if isinstance(value, list) else value


def _as(kind: Any, value: Any) -> Any:
    return None if value is None else TypeAdapter(kind).validate_python(value)


UPDATED = {"operation_id": 0, "status": "completed"}


def _create(data: QdrantClient, name: str, body: Any) -> object:
    return data.create_collection(name, vectors_config=_as(models.VectorParams, body["vectors"]))


def _info(data: QdrantClient, name: str, _: Any) -> object:
    vectors = data.get_collection(name).config.params.vectors
    assert isinstance(vectors, models.VectorParams)
    return collection(vectors.size)


def _delete_collection(data: QdrantClient, name: str, _: Any) -> object:
    if not data.collection_exists(name):
        raise ValueError(f"Collection {name} not found")
    return data.delete_collection(name)


def _changed(data: QdrantClient, name: str, _: Any) -> object:
    data.get_collection(name)
    return True


def _indexed(data: QdrantClient, name: str, _: Any) -> object:
    data.get_collection(name)
    return UPDATED


def _upsert(data: QdrantClient, name: str, body: Any) -> object:
    data.upsert(
        name, _as(list[models.PointStruct], body["points"]),
        update_filter=_as(models.Filter, body.get("update_filter")),
    )  # fmt: skip
    return UPDATED


def _delete(data: QdrantClient, name: str, body: Any) -> object:
    data.delete(name, _as(models.PointIdsList if "points" in body else models.FilterSelector, body))
    return UPDATED


def _retrieve(data: QdrantClient, name: str, body: Any) -> object:
    return data.retrieve(name, body["ids"], with_payload=body.get("with_payload", True))


def _scroll(data: QdrantClient, name: str, body: Any) -> object:
    points, after = data.scroll(
        name, scroll_filter=_as(models.Filter, body.get("filter")), limit=body["limit"], offset=body.get("offset"),
        with_payload=body.get("with_payload", True), with_vectors=body.get("with_vector", False),
    )  # fmt: skip
    return {"points": _json(points), "next_page_offset": after}


def _query(data: QdrantClient, name: str, body: Any) -> object:
    found = []
    for one in body["searches"]:
        nearest = data.query_points(
            name, query=one["query"]["nearest"], limit=one["limit"], with_payload=True, with_vectors=True
        )
        found.append({"points": [{**point.model_dump(mode="json"), "version": 0} for point in nearest.points]})
    return found


def _count(data: QdrantClient, name: str, _: Any) -> object:
    return {"count": data.count(name, exact=True).count}


def _alias(data: QdrantClient, _: str, body: Any) -> object:
    return data.update_collection_aliases(
        _as(list[models.CreateAliasOperation | models.DeleteAliasOperation], body["actions"])
    )


_DOING: dict[tuple[str, str], Do] = {
    ("PUT", "."): _create,
    ("GET", "."): _info,
    ("PATCH", "."): _changed,
    ("DELETE", "."): _delete_collection,
    ("GET", "exists"): lambda data, name, _: {"exists": data.collection_exists(name)},
    ("PUT", "index"): _indexed,
    ("PUT", "points"): _upsert,
    ("POST", "points"): _retrieve,
    ("POST", "points/delete"): _delete,
    ("POST", "points/scroll"): _scroll,
    ("POST", "points/count"): _count,
    ("POST", "points/query/batch"): _query,
    ("POST", "."): _alias,
    ("GET", "aliases"): lambda data, _, __: data.get_aliases(),
}
