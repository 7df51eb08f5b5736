"""A fake Qdrant server with prepared responses that records requests: for tests of what goes over the wire."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped]  # its types are another package
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc


class Wire:
    """Answers by method and end of the path. ``asked``: method, path, body and headers of each request."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        self._failure: tuple[int, str, dict[str, str]] | None = None
        updated = {"operation_id": 0, "status": "completed"}
        self._answers: dict[tuple[str, str], list[object]] = {
            ("PUT", "/index"): [updated],
            ("PUT", "/points"): [updated],
            ("POST", "/points/delete"): [updated],
        }

    def says(self, method: str, end: str, *results: object) -> None:
        """These, one after the other, and the last from then on. Whatever else is asked is answered with true."""
        self._answers[method, end] = list(results)

    def fails(self, status: int, text: str = "out of order", **headers: str) -> None:
        """Whatever is asked."""
        self._failure = status, text, headers

    def bodies(self, method: str, end: str) -> list[Any]:
        """What was sent with these requests."""
        return [body for asked, path, body, _ in self.asked if asked == method and path.endswith(end)]

    def answer(self, method: str, path: str) -> tuple[int, object, dict[str, str]]:
        if self._failure:
            status, text, headers = self._failure
            return status, {"status": {"error": text}, "time": 0.0}, headers
        for (asked, end), results in self._answers.items():
            if asked == method and path.endswith(end):
                result = results.pop(0) if len(results) > 1 else results[0]
                return 200, {"result": result, "status": "ok", "time": 0.0}, {}
        return 200, {"result": True, "status": "ok", "time": 0.0}, {}


@contextmanager
def wire() -> Iterator[Wire]:
    """The server, on a free port of the loopback interface."""
    recorder = Wire()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            path = self.path.partition("?")[0]
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            recorder.asked.append((self.command, path, json.loads(sent) if sent else None, dict(self.headers)))
            status, answer, headers = recorder.answer(self.command, path)
            body = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {
                **headers,
                "content-type": "application/json",
                "content-length": str(len(body)),
            }.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 -- the library's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    recorder.url = f"http://127.0.0.1:{server.server_port}"
    yield recorder
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def grpc_wire(answer: Callable[[str, Any, Any], object]) -> Iterator[int]:
    """A server of points and collections by gRPC, on the port that is given: ``answer(method, request, context)``."""

    def method(name: str) -> Callable[[object, object, object], object]:
        return lambda _, request, context: answer(name, request, context)

    server = grpc.server(futures.ThreadPoolExecutor(2))
    for module, service in ((points_service_pb2_grpc, "Points"), (collections_service_pb2_grpc, "Collections")):
        base = getattr(module, f"{service}Servicer")
        methods = {name: method(f"{service}.{name}") for name in vars(base) if not name.startswith("_")}
        getattr(module, f"add_{service}Servicer_to_server")(type(service, (base,), methods)(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def collection(dimension: int, status: str = "green", **more: object) -> dict[str, object]:
    """What a server tells of a collection, in the least words that its client understands."""
    return {
        "status": status,
        "optimizer_status": "ok",
        "segments_count": 1,
        "payload_schema": {},
        "config": {
            "params": {"vectors": {"size": dimension, "distance": "Cosine"}, "replication_factor": 2},
            "hnsw_config": {"m": 16, "ef_construct": 48, "full_scan_threshold": 10_000},
            "optimizer_config": {
                "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
        },
        **more,
    }  # fmt: skip
