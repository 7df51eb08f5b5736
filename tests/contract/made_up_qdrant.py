"""A made-up Qdrant server with one version of captions, over REST, that may go away and come back on its port."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from tests.contract.qdrant_wire import collection

TEXTS = ("a cat on a sofa", "a cup of coffee", "a rocket at its launch", "a red motorcycle", "a cat and a dog")


class MadeUpQdrant:
    """The captions are active in the space. ``searches`` counts the batches that were answered."""

    def __init__(self, space_id: str, dimension: int, prefix: str = "wildtag-") -> None:
        self.captions_version = "made-up@1"
        self.searches = 0
        self.asked = 0
        self._dimension = dimension
        rng = np.random.default_rng(0)
        rows = rng.standard_normal((len(TEXTS), dimension)).astype(np.float32)
        self._rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        self._name = f"{prefix}made-up"
        self._registry = f"{prefix}registry"
        self._alias = f"{prefix}{space_id}-active"
        manifest = {
            "space_id": space_id, "name": "made-up", "version": "1", "dimension": dimension, "count": len(TEXTS),
            "template": None, "created": "2026-01-01T00:00:00+00:00",
        }  # fmt: skip
        self._record = {
            "space_id": space_id, "captions_version": self.captions_version, "collection": self._name,
            "state": "whole", "build": "1", "manifest": manifest,
        }  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        self._server: ThreadingHTTPServer | None = None
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        """Answer from now on."""
        this = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                this._open.add(self.connection)

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                this.asked += 1
                answer = json.dumps(
                    {"result": this._answer(self.path, json.loads(body) if body else {}), "status": "ok", "time": 0.0}
                ).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815 -- the library's names

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:  # whoever asked has hung up, or was hung up on
                pass

        self._server = Server(("127.0.0.1", self._port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _answer(self, path: str, body: Any) -> object:
        path = path.partition("?")[0]
        point = {"id": 1, "payload": {"record": self._record}}
        if path.endswith("/aliases"):
            return {"aliases": [{"alias_name": self._alias, "collection_name": self._name}]}
        if path.endswith("/points/scroll"):  # of captions there are too few for a sample
            return {"points": [point] if f"/{self._registry}/" in path else [], "next_page_offset": None}
        if path.endswith(f"/{self._registry}/points"):
            return [point]
        if path.endswith("/points/count"):
            return {"count": len(TEXTS)}
        if path.endswith("/points/query/batch"):
            self.searches += 1
            return [self._found(search["query"]["nearest"], search["limit"]) for search in body["searches"]]
        return collection(self._dimension)

    def _found(self, query: list[float], limit: int) -> object:
        scores = self._rows @ np.array(query, dtype=np.float32)
        best = np.argsort(-scores)[:limit]
        return {
            "points": [
                {"id": int(i) + 1, "version": 0, "score": float(scores[i]), "vector": self._rows[i].tolist(),
                 "payload": {"text": TEXTS[i], "extra": {}}}
                for i in best
            ]
        }  # fmt: skip
