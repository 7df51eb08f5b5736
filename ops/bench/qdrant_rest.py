"""A made-up Qdrant server: the REST interface, as far as wildtag uses it, over qdrant-client's own database.

That database is exact and has no graph; what only a real server has is taken in and answered as done. The shapes of
requests and answers are those of the client's own models (https://api.qdrant.tech, 1.18).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models

Sent = dict[str, Any]


class ServerTrouble(Enum):
    """What the server does. ``WRONG_DIMENSION``: its collections seem to be made for vectors of another dimension."""

    NONE = "none"
    ERRORS = "500"
    WRONG_DIMENSION = "wrong dimension"


class RestServer:
    """What the server holds, and what it was asked for. ``key``: what must be shown, if anything.

    ``trouble`` may be changed at any time.
    """

    def __init__(self, key: str | None = None) -> None:
        self.url = ""
        self.client = QdrantClient(location=":memory:")
        self.key = key
        self.trouble = ServerTrouble.NONE
        self.upserted: list[int] = []  # points of each request that brought captions
        self.before_upsert: Callable[[], None] = lambda: None
        self._turn = threading.Lock()
        self._routes: list[tuple[str, str, Callable[[str, Sent], Any]]] = [
            ("GET", "/collections", lambda _, __: self.client.get_collections()),
            ("GET", "/aliases", lambda _, __: self.client.get_aliases()),
            ("POST", "/collections/aliases", self._aliases),
            ("GET", "/collections/(.+)/exists", lambda n, _: {"exists": self.client.collection_exists(n)}),
            ("POST", "/collections/(.+)/points/scroll", self._scroll),
            ("POST", "/collections/(.+)/points/count", self._count),
            ("POST", "/collections/(.+)/points/delete", self._delete),
            ("POST", "/collections/(.+)/points/query/batch", self._query),
            ("POST", "/collections/(.+)/points/query", self._query_one),
            ("POST", "/collections/(.+)/points/batch", self._batch),
            ("POST", "/collections/(.+)/points", self._retrieve),
            ("PUT", "/collections/(.+)/points", self._upsert),
            ("PUT", "/collections/(.+)/index", lambda _, __: {"operation_id": 0, "status": "completed"}),
            ("PUT", "/collections/([^/]+)", self._create),
            ("PATCH", "/collections/([^/]+)", lambda _, __: True),
            ("DELETE", "/collections/([^/]+)", lambda n, _: self.client.delete_collection(n)),
            ("GET", "/collections/([^/]+)", lambda n, _: self.client.get_collection(n)),
        ]

    def answer(self, method: str, path: str, sent: Sent) -> tuple[int, Any]:
        """Status and body."""
        if self.trouble is ServerTrouble.ERRORS:
            return 500, {"status": {"error": "Service internal error: chaos"}, "time": 0.0}
        if (
            self.trouble is ServerTrouble.WRONG_DIMENSION
            and re.search("/points(/query.*)?$", path)
            and method != "GET"
        ):
            text = "Wrong input: Vector dimension error: expected dim: 7, got 384"
            return 400, {"status": {"error": text}, "time": 0.0}
        for known, pattern, handle in self._routes:
            found = re.fullmatch(pattern, path)
            if known == method and found:
                if handle == self._upsert:
                    self.before_upsert()
                try:
                    with self._turn:
                        result = handle(found.group(1) if found.groups() else "", sent)
                except ValueError as exc:
                    return 404 if "not found" in str(exc) else 400, {"status": {"error": str(exc)}, "time": 0.0}
                plain = TypeAdapter(Any).dump_python(result, mode="json")
                return 200, {"result": plain, "status": "ok", "time": 0.0}
        return 404, {"status": {"error": f"no route {method} {path}"}, "time": 0.0}

    def _aliases(self, _: str, sent: Sent) -> object:
        changes = models.ChangeAliasesOperation.model_validate(sent).actions
        return self.client.update_collection_aliases(changes)

    def _create(self, name: str, sent: Sent) -> object:
        if self.client.collection_exists(name):
            raise ValueError(f"Collection `{name}` already exists!")
        wanted = models.CreateCollection.model_validate(sent)
        return self.client.create_collection(name, wanted.vectors or {}, sparse_vectors_config=wanted.sparse_vectors)

    def _upsert(self, name: str, sent: Sent) -> object:
        points = models.PointsList.model_validate(sent)
        if not name.endswith("registry"):
            self.upserted.append(len(points.points))
        return self.client.upsert(name, points.points, update_filter=points.update_filter)

    def _scroll(self, name: str, sent: Sent) -> object:
        asked = models.ScrollRequest.model_validate(sent)
        points, after = self.client.scroll(
            name, asked.filter, asked.limit or 10, offset=asked.offset, with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
        )  # fmt: skip
        return {"points": points, "next_page_offset": after}

    def _count(self, name: str, sent: Sent) -> object:
        return self.client.count(name, models.CountRequest.model_validate(sent).filter)

    def _delete(self, name: str, sent: Sent) -> object:
        which: Any = models.PointIdsList if "points" in sent else models.FilterSelector
        return self.client.delete(name, which.model_validate(sent))

    def _retrieve(self, name: str, sent: Sent) -> object:
        asked = models.PointRequest.model_validate(sent)
        return self.client.retrieve(name, asked.ids, asked.with_payload or False, asked.with_vector or False)

    def _query(self, name: str, sent: Sent) -> object:
        searches = models.QueryRequestBatch.model_validate(sent).searches
        for one in searches:
            one.params = None  # an exact database complains about parameters
        return self.client.query_batch_points(name, searches)

    def _query_one(self, name: str, sent: Sent) -> object:
        one = models.QueryRequest.model_validate(sent)
        return self.client.query_points(
            name, query=one.query, using=one.using, query_filter=one.filter, limit=one.limit or 10,
            prefetch=one.prefetch, score_threshold=one.score_threshold, offset=one.offset,
            with_payload=one.with_payload or False,
        )  # fmt: skip

    def _batch(self, name: str, sent: Sent) -> object:
        done: Any = self.client.batch_update_points(name, models.UpdateOperations.model_validate(sent).operations)
        return done or []


@contextmanager
def rest_server(key: str | None = None) -> Iterator[RestServer]:
    """The server, on a free port of the loopback interface."""
    server_state = RestServer(key)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            if server_state.key is not None and self.headers.get("api-key") != server_state.key:
                status, answer = 401, {"status": {"error": "Invalid API key or JWT"}, "time": 0.0}
            else:
                status, answer = server_state.answer(
                    self.command, self.path.partition("?")[0], json.loads(sent or b"{}")
                )
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 -- the library's names

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: a connection may break."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server_state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server_state
        finally:
            server.shutdown()
            thread.join()
            server_state.client.close()
